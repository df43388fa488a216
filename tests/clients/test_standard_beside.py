"""A contract file can add the Standard Webhooks headers: stock clients then verify beside the vendor's own way."""

import re

import pytest

from conftest import REPOSITORY
from rig import judges
from rig.admin import Admin
from rig.customer import Customer
from rig.vendors import AIOKA, AIRA, ELYDORA, PIPAI

HEADERS = """\
headers = [
  { name = "webhook-id",        from = "event.id" },
  { name = "webhook-timestamp", from = "attempt.timestamp", as = "unix" },
"""
SIGNATURE = """
[[signatures]]
header    = "webhook-signature"
algorithm = "hmac-sha256"
signed    = ["event.id", "attempt.timestamp", "body"]
join      = "."
timestamp = "unix"
encoding  = "base64"
layout    = { style = "prefix", prefix = "v1," }
many      = { kind = "join", by = " " }
"""
# Stock clients take a secret for base 64. Those a server makes can be read so; those of callers are any text.
DECODED = 'key       = "base64"\n'


def with_standard_headers(text, decoded):
    """The contract with the headers added to those it has."""
    has_headers = re.search(r"^headers += \[\n", text, re.MULTILINE)
    place = has_headers[0] if has_headers else "[delivery]\n"
    new = HEADERS if has_headers else f"{place}{HEADERS}]\n"
    return text.replace(place, new) + SIGNATURE + (DECODED if decoded else "")


@pytest.mark.parametrize("vendor", (AIOKA, AIRA, ELYDORA, PIPAI), ids=str)
def test_stock_clients_verify_beside_the_vendors_signature(vendor, launch, receiver, tmp_path):
    contract = tmp_path / f"{vendor}.toml"
    is_decoded = vendor is not ELYDORA
    contract.write_text(
        with_standard_headers((REPOSITORY / "contracts" / f"{vendor}.toml").read_text(), is_decoded)
    )
    server = launch(contract, f"{vendor}-beside").start()
    admin = Admin(server.base, server.admin_token())
    customer = Customer(vendor, server, admin)
    event_type = next(iter(vendor.events))
    inbox = receiver.inbox("/beside")
    webhook = customer.register(receiver.url("/beside"), [event_type])

    admin.publish(customer.account, event_type, '{"case_id":"prn_1"}')

    received = inbox.take()
    key = webhook.secret if is_decoded else webhook.secret.encode()
    for accepts in (judges.standardwebhooks_client, judges.svix_client):
        assert accepts(received, key)
        assert not any(accepts(tampered, key) for tampered in received.tampered())
    assert all(accepts(received, webhook.secret) for accepts in judges.JUDGES[vendor.name])
    admin.close()
    assert server.stop() == 0
