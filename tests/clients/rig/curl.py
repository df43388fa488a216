"""Runs documented commands with the real curl, through a real shell."""

import json
import subprocess
from dataclasses import dataclass

from rig.server import plain_environment

# Options from curl's own settings file, so that the commands themselves stay as printed.
SETTINGS = """\
silent
show-error
max-time = 10
write-out = "\\n%{http_code}"
"""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    text: str

    def json(self):
        return json.loads(self.text)


class Curl:
    """The curl of this machine."""

    def __init__(self, folder):
        (folder / ".curlrc").write_text(SETTINGS)
        self._home = folder

    def run(self, command, variables=None):
        """Runs a shell command that calls curl once."""
        environment = {**plain_environment(), "CURL_HOME": str(self._home), **(variables or {})}
        ended = subprocess.run(
            ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=15, check=False
        )
        assert ended.returncode == 0, f"{command}\n{ended.stderr}"
        body, _, status = ended.stdout.rpartition("\n")
        return Answer(int(status), body)
