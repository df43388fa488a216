"""The printed calls, run by the real curl, get the printed answers."""

import pytest

from rig.agreement import assert_agrees
from rig.documents import body_of, command, parsed
from rig.vendors import AIOKA, AIRA, ELYDORA, PIPAI, VENDORS

# Values that are made anew for every webhook or answer: only their kind can be as printed.
MADE = ("id", "webhook_id", "org_id", "secret", "created_at", "updated_at", "request_id")


@pytest.fixture
def create(curl):
    """Registers a webhook with the printed curl line."""

    def created(customer):
        name, target = customer.vendor.name, customer.vendor.webhooks_path
        variables = customer.shell_variables("POST", target, body_of(command(name, "create.curl")))
        return curl.run(customer.printed_command("create.curl"), variables)

    return created


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
def test_the_printed_registration_gets_the_printed_answer(vendor, join, create):
    customer, _ = join(vendor)
    answer = create(customer)
    assert answer.status == 201, answer.text
    assert_agrees(answer.json(), parsed(vendor.name, "create.json"), MADE)


@pytest.mark.parametrize("vendor", (AIRA, ELYDORA), ids=str)
def test_the_printed_list_shows_the_webhook_without_its_secret(vendor, join, create, curl):
    customer, _ = join(vendor)
    create(customer)
    name = {"aira": "list.http", "elydora": "list.curl"}[vendor.name]
    answer = curl.run(customer.printed_command(name))
    assert answer.status == 200, answer.text
    assert_agrees(answer.json(), parsed(vendor.name, "list.json"), MADE)


@pytest.mark.parametrize("vendor", (AIRA, ELYDORA), ids=str)
def test_the_printed_deletion_deletes(vendor, join, create, curl):
    customer, _ = join(vendor)
    webhook = customer.webhook_of(create(customer).json())
    name, status = {"aira": ("delete.http", 204), "elydora": ("delete.curl", 200)}[vendor.name]
    answer = curl.run(customer.printed_command(name, webhook))
    assert answer.status == status, answer.text
    if answer.text:
        assert_agrees(answer.json(), parsed(vendor.name, "delete.json"))
    assert curl.run(customer.printed_command(name, webhook)).status == 404


def test_a_second_webhook_with_the_printed_url_is_refused_where_urls_are_unique(join, create):
    customer, _ = join(PIPAI)
    create(customer)
    again = customer.call("POST", PIPAI.webhooks_path, {"url": "https://example.com/pipai-webhook", "events": ["*"]})
    assert (again.status_code, again.json()["code"]) == (409, "DUPLICATE_URL")


def test_a_webhook_too_many_is_refused_with_its_own_code(join, receiver):
    customer, _ = join(AIOKA)
    for number in range(5):
        customer.register(receiver.url(f"/full/{number}"), ["verdict.new"])
    body = {"url": receiver.url("/full/5"), "events": ["verdict.new"]}
    assert customer.call("POST", AIOKA.webhooks_path, body).status_code == 409
