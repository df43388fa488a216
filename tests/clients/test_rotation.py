"""While a secret is being replaced, the former one goes on verifying, for as long as the contract says."""

import pytest

from rig import judges
from rig.vendors import AIOKA, AIRA, ELYDORA, PIPAI, STANDARD

FORMER_IN_ITS_OWN_HEADER = [
    pytest.param(AIOKA, judges.aioka_overview, "x-aioka-signature", id="aioka-overview"),
    pytest.param(AIOKA, judges.aioka_deliveries_page, "x-aioka-signature", id="aioka-deliveries-page"),
    pytest.param(AIRA, judges.aira_sdk, "x-aira-signature", id="aira-sdk"),
    pytest.param(PIPAI, judges.pipai_timestamp_and_body, "x-pipai-signature", id="pipai"),
]


@pytest.fixture
def registered(join, receiver):
    """A webhook that is about to get another secret, and what publishes to it and receives for it."""

    def made(vendor):
        customer, admin = join(vendor)
        event_type = next(iter(vendor.events))
        inbox = receiver.inbox("/rotated")
        webhook = customer.register(receiver.url("/rotated"), [event_type])

        def deliver():
            admin.publish(customer.account, event_type, '{"case_id":"prn_1"}')
            return inbox.take()

        return customer, webhook, deliver

    return made


@pytest.mark.parametrize(("vendor", "accepts", "header"), FORMER_IN_ITS_OWN_HEADER)
def test_the_new_secret_signs_the_main_header_and_the_former_one_its_own(vendor, accepts, header, registered):
    customer, webhook, deliver = registered(vendor)
    former, new, previous = webhook.secret, customer.rotate(webhook)["secret"], f"{header}-previous"
    received = deliver()
    assert [accepts(received, new, header), accepts(received, former, header)] == [True, False]
    assert [accepts(received, new, previous), accepts(received, former, previous)] == [False, True]


@pytest.mark.parametrize("accepts", judges.JUDGES["standard"])
def test_both_secrets_verify_one_standard_header(accepts, registered):
    customer, webhook, deliver = registered(STANDARD)
    former, new = webhook.secret, customer.rotate(webhook)["secret"]
    received = deliver()
    assert former != new and accepts(received, new) and accepts(received, former)
    assert len(received.headers["webhook-signature"].split(" ")) == 2


def test_a_secret_of_the_callers_own_replaces_the_former_one_at_once(registered):
    customer, webhook, deliver = registered(ELYDORA)
    new = "another-secret-signing-key-32char"
    assert "secret" not in customer.rotate(webhook, {"secret": new})["webhook"]
    received = deliver()
    assert judges.elydora_body(received, new) and not judges.elydora_body(received, webhook.secret)


def test_the_operator_rotates_too(site, registered):
    customer, webhook, deliver = registered(AIRA)
    _, admin = site(AIRA)
    new = admin.call("POST", f"/accounts/{customer.account}/webhooks/{webhook.id}/rotate-secret")["secret"]
    assert judges.aira_sdk(deliver(), new)
