"""A failed delivery comes again: the same bytes, not early, and the log tells it as documented."""

import json
from dataclasses import dataclass

import pytest

from rig.agreement import assert_agrees
from rig.customer import Customer, Webhook
from rig.documents import parsed
from rig.judges import JUDGES
from rig.receiver import Inbox
from rig.vendors import AIOKA, AIRA, VENDORS
from rig.waiting import until

# The first delay of each contract, in seconds. Jitter only adds.
FIRST_DELAY_SECONDS = {"aioka": 5.0, "aira": 10.0, "elydora": 5.0, "pipai": 1.0, "standard": 5.0}
# How much later than due a retry may come on a busy machine.
LATE_SECONDS = 5.0
MADE = ("delivered_at", "created_at", "response_ms", "id", "request_id", "webhook_id")


@dataclass
class Started:
    """A delivery whose first attempt gets a 500 and whose second gets a 200."""

    customer: Customer
    webhook: Webhook
    inbox: Inbox
    is_delivered: object


@pytest.fixture(scope="module")
def started(site, receiver):
    """One such delivery per contract, all under way at the same time, because the waits are the contracts' own."""
    return {vendor.name: _start(vendor, *site(vendor), receiver) for vendor in VENDORS}


def _start(vendor, server, admin, receiver):
    customer = Customer(vendor, server, admin)
    event_type = next(iter(vendor.events))
    inbox = receiver.inbox(f"/retries/{vendor}", statuses=[500])
    webhook = customer.register(receiver.url(f"/retries/{vendor}"), [event_type])
    event = admin.publish(customer.account, event_type, json.dumps(vendor.events[event_type]))

    def is_delivered():
        return admin.call("GET", f"/events/{event['id']}")["webhooks"][0]["status"] == "delivered"

    return Started(customer, webhook, inbox, is_delivered)


@pytest.fixture(scope="module")
def attempts(started):
    """The two requests of each of them, and no third."""
    received = {}
    for name, one in started.items():
        received[name] = one.inbox.take(), one.inbox.take(FIRST_DELAY_SECONDS[name] + LATE_SECONDS)
        until(one.is_delivered, f"{name}: the delivery is recorded")
        assert one.inbox.is_empty()
    return received


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
def test_the_same_delivery_comes_again(vendor, started, attempts):
    first, second = attempts[vendor.name]
    assert first.body == second.body
    assert second.at - first.at >= FIRST_DELAY_SECONDS[vendor.name]
    for accepts in JUDGES[vendor.name]:
        assert accepts(second, started[vendor.name].webhook.secret)


@pytest.mark.parametrize(
    ("name", "header"), [("pipai", "x-pipai-delivery-id"), ("pipai", "x-pipai-event-id"), ("standard", "webhook-id")]
)
def test_the_ids_in_the_headers_stay(name, header, attempts):
    first, second = attempts[name]
    assert first.headers[header] == second.headers[header]


def test_the_attempts_are_counted_in_the_header(attempts):
    assert [one.headers["x-pipai-delivery-attempt"] for one in attempts["pipai"]] == ["1", "2"]


def test_the_log_of_attempts_is_as_printed(started, attempts, curl):
    """One row per attempt, newest first."""
    one = started[AIOKA.name]
    printed = parsed("aioka", "deliveries.json")
    good, bad = printed["deliveries"]
    good |= {"attempt": 2}
    bad |= {"attempt": 1, "status_code": 500, "event_type": good["event_type"]}
    answer = curl.run(one.customer.printed_command("deliveries.curl", one.webhook))
    assert answer.status == 200
    assert_agrees(answer.json(), printed, MADE)


def test_the_log_of_deliveries_is_as_printed(started, attempts, curl):
    """One row per delivery, its attempts counted up."""
    one = started[AIRA.name]
    printed = parsed("aira", "deliveries.json")
    del printed["data"][1]
    printed["data"][0] |= {"attempt": 2, "payload": AIRA.events["case.complete"]}
    printed["pagination"] |= {"total": 1, "has_more": False}
    answer = curl.run(one.customer.printed_command("deliveries.http", one.webhook))
    assert answer.status == 200
    assert_agrees(answer.json(), printed, MADE)
