"""Real deliveries over HTTPS, judged by the clients that the vendors' customers would use."""

import json
import re

import pytest

from rig import documents
from rig.judges import JUDGES
from rig.vendors import AIOKA, AIRA, STANDARD, VENDORS
from rig.waiting import until

EVERY_EVENT = [
    pytest.param(vendor, event_type, id=f"{vendor}-{event_type}") for vendor in VENDORS for event_type in vendor.events
]
SECOND = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize(("vendor", "event_type"), EVERY_EVENT)
def test_every_client_accepts_what_was_sent_and_nothing_else(vendor, event_type, join, receiver):
    customer, admin = join(vendor)
    inbox = receiver.inbox(f"/{vendor}/{event_type}")
    webhook = customer.register(receiver.url(f"/{vendor}/{event_type}"), [event_type])

    admin.publish(customer.account, event_type, compact(vendor.events[event_type]))

    received = inbox.take()
    assert received.headers["content-type"] == "application/json"
    assert event_type in json.loads(received.body).values()
    for accepts in JUDGES[vendor.name]:
        assert accepts(received, webhook.secret), accepts.__doc__
        for tampered in received.tampered():
            assert not accepts(tampered, webhook.secret), accepts.__doc__


@pytest.mark.parametrize(
    ("name", "header"), [("pipai", "x-pipai-timestamp"), ("standard", "webhook-timestamp"), ("standard", "webhook-id")]
)
def test_signed_headers_cannot_be_changed(name, header, join, receiver):
    vendor = next(vendor for vendor in VENDORS if vendor.name == name)
    customer, admin = join(vendor)
    event_type = next(iter(vendor.events))
    inbox = receiver.inbox("/headers")
    webhook = customer.register(receiver.url("/headers"), [event_type])

    admin.publish(customer.account, event_type, "{}")

    received = inbox.take()
    last = received.headers[header][-1]
    changed = received.headers[header][:-1] + ("1" if last != "1" else "2")
    received.headers[header] = changed
    assert not any(accepts(received, webhook.secret) for accepts in JUDGES[name])


@pytest.mark.parametrize("event_type", AIRA.events)
def test_the_body_is_the_printed_payload_but_for_the_time(event_type, join, receiver):
    customer, admin = join(AIRA)
    inbox = receiver.inbox("/printed")
    customer.register(receiver.url("/printed"), [event_type])

    admin.publish(customer.account, event_type, compact(AIRA.events[event_type]))

    printed = compact(documents.parsed("aira", f"{event_type}.json"))
    printed_time = json.loads(printed)["timestamp"]
    body = inbox.take().body.decode()
    assert re.fullmatch(re.escape(printed).replace(re.escape(printed_time), SECOND), body), body


@pytest.mark.parametrize(("vendor", "event_type"), [(AIOKA, "verdict.new"), (STANDARD, "invoice.paid")], ids=str)
def test_data_arrives_in_the_bytes_it_was_published_in(vendor, event_type, join, receiver):
    customer, admin = join(vendor)
    inbox = receiver.inbox("/bytes")
    webhook = customer.register(receiver.url("/bytes"), [event_type])
    data = '{"z":123456789012345678901234567890,"a":1.50,"e":1E+2,"s":"\\u00e9\\/é🦀","n":{"b":null,"a":[]}}'

    admin.publish(customer.account, event_type, data)

    received = inbox.take()
    assert data.encode() in received.body
    assert all(accepts(received, webhook.secret) for accepts in JUDGES[vendor.name])


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
def test_the_printed_callback_url_gets_deliveries(vendor, join, receiver):
    """The documented address itself, with its own host name in the certificate."""
    printed = json.loads(documents.body_of(documents.command(vendor.name, "create.curl")))
    customer, admin = join(vendor)
    url, event_type = printed[vendor.url_member], printed["events"][0]
    inbox = receiver.inbox("/" + url.split("/", 3)[3])
    webhook = customer.register(url, [event_type])

    admin.publish(customer.account, event_type, compact(vendor.events[event_type]))

    received = inbox.take()
    assert received.headers["host"] == vendor.callback_host
    assert all(accepts(received, webhook.secret) for accepts in JUDGES[vendor.name])


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
def test_other_events_and_other_accounts_events_are_not_sent(vendor, join, receiver):
    customer, admin = join(vendor)
    stranger, _ = join(vendor)
    wanted, other = list(vendor.events)[:2]
    inbox = receiver.inbox("/wanted")
    webhook = customer.register(receiver.url("/wanted"), [wanted])

    def fates(account, event_type):
        event = admin.publish(account, event_type, compact(vendor.events[event_type]))
        return lambda: {
            fate["webhook_id"]: fate["status"] for fate in admin.call("GET", f"/events/{event['id']}")["webhooks"]
        }

    foreign, unwanted = fates(stranger.account, wanted), fates(customer.account, other)
    sent = fates(customer.account, wanted)
    until(lambda: sent() == {webhook.id: "delivered"}, "the wanted event is delivered")
    assert unwanted() == {webhook.id: "not_sent"}
    assert foreign() == {}
    assert wanted in json.loads(inbox.take().body).values()
    assert inbox.is_empty()
