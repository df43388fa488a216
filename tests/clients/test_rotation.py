"""While a secret is being replaced, the former one goes on verifying."""

import pytest

from rig import judges
from rig.vendors import AIOKA, AIRA, PIPAI, STANDARD

IN_A_HEADER_OF_ITS_OWN = [
    pytest.param(AIOKA, judges.aioka_overview, "x-aioka-signature", id="aioka-overview"),
    pytest.param(AIOKA, judges.aioka_deliveries_page, "x-aioka-signature", id="aioka-deliveries-page"),
    pytest.param(AIRA, judges.aira_sdk, "x-aira-signature", id="aira-sdk"),
    pytest.param(PIPAI, judges.pipai_timestamp_and_body, "x-pipai-signature", id="pipai"),
]


@pytest.fixture
def rotated(join, receiver):
    """One delivery made during the overlap, with the former and the new secret."""

    def made(vendor):
        customer, admin = join(vendor)
        event_type = next(iter(vendor.events))
        inbox = receiver.inbox("/rotated")
        webhook = customer.register(receiver.url("/rotated"), [event_type])
        answer = admin.call("POST", f"/accounts/{customer.account}/webhooks/{webhook.id}/rotate-secret")
        assert answer["secret"] != webhook.secret
        admin.publish(customer.account, event_type, '{"case_id":"prn_1"}' if vendor is AIRA else "{}")
        return inbox.take(), webhook.secret, answer["secret"]

    return made


@pytest.mark.parametrize(("vendor", "accepts", "header"), IN_A_HEADER_OF_ITS_OWN)
def test_the_new_secret_signs_the_main_header_and_the_former_one_its_own(vendor, accepts, header, rotated):
    received, former, new = rotated(vendor)
    previous = f"{header}-previous"
    assert [accepts(received, new, header), accepts(received, former, header)] == [True, False]
    assert [accepts(received, new, previous), accepts(received, former, previous)] == [False, True]


@pytest.mark.parametrize("accepts", judges.JUDGES["standard"])
def test_both_secrets_verify_one_standard_header(accepts, rotated):
    received, former, new = rotated(STANDARD)
    assert accepts(received, new) and accepts(received, former)
    assert len(received.headers["webhook-signature"].split(" ")) == 2
