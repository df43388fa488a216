"""Is an answer as the document prints it?"""

import re

# Strings that stand for a whole kind: where the printed one matches, the server's has to match too.
KINDS = (
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    re.compile(r"wh_[0-9a-f]{6,8}"),
    re.compile(r"[A-Za-z0-9_-]{40}"),
)


def assert_agrees(said, printed, varying=()):
    """The same names in the same order, and the same values; values of `varying` names have the same kind only."""
    found = list(_differences(said, printed, varying, "answer"))
    assert not found, "\n".join(found)


def _differences(said, printed, varying, at):
    if type(said) is not type(printed):
        yield f"{at}: {said!r}, where the document has {printed!r}"
    elif isinstance(printed, dict):
        if list(said) != list(printed):
            yield f"{at}: members {list(said)}, where the document has {list(printed)}"
        for name in printed.keys() & said.keys():
            if name in varying:
                yield from _other_kind(said[name], printed[name], f"{at}.{name}")
            else:
                yield from _differences(said[name], printed[name], varying, f"{at}.{name}")
    elif isinstance(printed, list) and len(said) == len(printed):
        for place, (mine, theirs) in enumerate(zip(said, printed)):
            yield from _differences(mine, theirs, varying, f"{at}[{place}]")
    elif said != printed:
        yield f"{at}: {said!r}, where the document has {printed!r}"


def _other_kind(said, printed, at):
    if type(said) is not type(printed) or isinstance(said, str) and not _is_like(said, printed):
        yield f"{at}: {said!r} is not of the kind of {printed!r}"


def _is_like(said, printed):
    kinds = [kind for kind in KINDS if kind.fullmatch(printed)]
    prefix = re.match(r"([a-z]+_)?", printed)[0]
    return said.startswith(prefix) and all(kind.fullmatch(said) for kind in kinds)
