"""The OpenAPI documents, judged by a validator."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from conftest import REPOSITORY
from rig.server import plain_environment
from rig.vendors import VENDORS

EXAMPLES = sorted((REPOSITORY / "contracts" / "examples").glob("*.toml"))


@pytest.fixture(scope="module")
def document(binary):
    """What the program prints for a contract."""

    def printed(contract):
        ended = subprocess.run(
            [binary, "openapi", "--contract", contract],
            env=plain_environment(),
            capture_output=True,
            timeout=15,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr.decode()
        return json.loads(ended.stdout)

    return printed


@pytest.mark.parametrize("contract", [*(vendor.name for vendor in VENDORS), *EXAMPLES], ids=lambda one: Path(one).stem)
def test_the_document_is_valid_openapi_3_1_and_describes_the_webhooks(contract, document):
    api = document(contract)
    assert api["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(api).validate()
    assert api["paths"] and api["webhooks"]


@pytest.mark.parametrize("vendor", [vendor for vendor in VENDORS if vendor.name != "standard"], ids=str)
def test_the_document_names_every_documented_event_and_call(vendor, document):
    api = document(vendor.name)
    assert set(vendor.events) <= set(api["webhooks"])
    assert "post" in api["paths"][vendor.webhooks_path]


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
def test_the_server_serves_the_same_document(vendor, site, document):
    server, _ = site(vendor)
    served = httpx.get(f"{server.base}/openapi.json", timeout=15, trust_env=False)
    assert served.status_code == 200
    assert served.json() == document(vendor.name)
