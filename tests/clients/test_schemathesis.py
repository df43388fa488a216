"""The documents, held against the running servers: Schemathesis makes requests from each and judges every answer.

It runs all of its checks, with its own examples, the edges of every schema, random data good and bad, and calls in a
row. What it is told beside the document stands in `rig/prober.py`.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rig.server import plain_environment
from rig.vendors import VENDORS

HERE = Path(__file__).parent
# Cases of random data for each operation; the edges of the schemas come on top.
EXAMPLES = 12
# Far more than a busy machine needs.
PATIENCE_SECONDS = 600
SETTINGS = (
    "--checks=all",
    "--seed=1",
    "--no-color",
    "--generation-database=none",
    # Credentials come from the rig and are good; that they are asked for is the check `ignored_auth`.
    "--generation-with-security-parameters=false",
)


class Run:
    """One run of Schemathesis, in a process of its own."""

    def __init__(self, vendor, server, folder, document, *settings):
        self._log = folder / "log"
        environment = {
            **plain_environment(),
            "PYTHONPATH": str(HERE),
            "SCHEMATHESIS_HOOKS": "rig.prober",
            "PROBED_CONTRACT": vendor.name,
            "PROBED_BASE": server.base,
            "PROBED_TOKEN": server.admin_token(),
        }
        command = [Path(sys.executable).parent / "schemathesis", "run", document, f"--url={server.base}"]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [*command, *SETTINGS, *settings], cwd=folder, env=environment, stdout=log, stderr=log
            )

    def ended(self):
        """Its exit status and what it said."""
        status = self._process.wait(PATIENCE_SECONDS)
        return status, self._log.read_text(errors="replace")

    def kill(self):
        self._process.kill()
        self._process.wait(10)


@pytest.fixture(scope="module")
def runs(site, tmp_path_factory):
    """A run for each contract, all at the same time."""
    started = {}
    for vendor in VENDORS:
        server, _ = site(vendor)
        document = f"{server.base}/openapi.json"
        folder = tmp_path_factory.mktemp(f"probe-{vendor}")
        started[vendor.name] = Run(vendor, server, folder, document, f"--max-examples={EXAMPLES}")
    yield started
    for run in started.values():
        run.kill()


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
def test_nothing_is_answered_that_the_document_does_not_say(vendor, runs, capsys):
    status, said = runs[vendor.name].ended()
    assert status == 0, said
    generated = re.search(r"(\d+) generated", said)
    assert generated, said
    with capsys.disabled():
        print(f"\ncounted | requests | Schemathesis cases against the contract {vendor} | {generated[1]}")


def _without_refusals(document):
    """Invalid fields are no longer among the documented answers."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict):
                operation["responses"].pop("422", None)


def _with_another_type(document):
    """The id of a webhook is said to be a number."""
    document["components"]["schemas"]["webhook.endpoint.create"]["properties"]["id"] = {"type": "integer"}


def _with_a_looser_rule(document):
    """An empty list of events is said to be fine."""
    document["components"]["schemas"]["webhook_create.input"]["properties"]["events"]["minItems"] = 0


def _with_a_header_nobody_sends(document):
    answers = document["paths"]["/v1/webhooks"]["post"]["responses"]
    answers["201"]["headers"] = {"X-Promised": {"required": True, "schema": {"type": "string"}}}


@pytest.mark.parametrize(
    "spoil, expected",
    [
        (_without_refusals, "Undocumented status code"),
        (_with_another_type, "Response violates schema"),
        (_with_a_looser_rule, "Schema-valid request rejected"),
        (_with_a_header_nobody_sends, "Missing required response headers"),
    ],
)
def test_a_document_that_is_wrong_is_found_out(spoil, expected, binary, site, tmp_path):
    vendor = next(vendor for vendor in VENDORS if vendor.name == "standard")
    printed = subprocess.run([binary, "openapi"], env=plain_environment(), capture_output=True, timeout=15, check=True)
    document = json.loads(printed.stdout)
    spoil(document)
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    server, _ = site(vendor)
    narrow = ("--phases=coverage", "--include-operation-id=create_webhook")
    status, said = Run(vendor, server, tmp_path, str(tmp_path / "openapi.json"), *narrow).ended()
    assert status == 1 and expected in said, said
