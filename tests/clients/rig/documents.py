"""What the vendors print in their documentation: calls, answers, payloads and listings, in `documents/`."""

import json
import shlex
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "documents"


def text(contract, name):
    return (FOLDER / contract / name).read_text()


def parsed(contract, name):
    return json.loads(text(contract, name))


def listing(contract, name):
    """The functions of a printed Python listing."""
    functions = {}
    exec(compile(text(contract, name), name, "exec"), functions)
    return functions


def command(contract, name):
    """A printed call as a curl command: a curl line stays as it is, a request line with headers becomes one."""
    printed = text(contract, name).strip()
    if printed.startswith("curl "):
        return printed
    request_line, *headers = printed.splitlines()
    method, path = request_line.split(" ")
    quoted = " ".join(f"-H {shlex.quote(header)}" for header in headers)
    return f'curl -X {method} "HOST{path}" {quoted}'


def body_of(curl_command):
    """The text after `-d`, as the shell hands it to curl."""
    words = shlex.split(curl_command.replace("\\\n", " "))
    return words[words.index("-d") + 1]
