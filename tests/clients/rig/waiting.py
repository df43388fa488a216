"""Waiting with an end: nothing in this suite waits without a deadline."""

import time

# Between two looks at something that cannot tell by itself that it changed.
PAUSE_SECONDS = 0.02


def until(look, what, seconds=15.0):
    """Looks again and again until `look()` gives something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(PAUSE_SECONDS)
