"""`kill -9` under load: no acknowledged event is missing at the receiver."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from rig.admin import Admin
from rig.customer import Customer
from rig.judges import JUDGES
from rig.vendors import STANDARD

EVENTS = 200
PUBLISHERS = 8
# The server is killed at this acknowledgement; the other publishers are in the middle of a call then.
KILLED_AFTER = 100
SECONDS_TO_PUBLISH = 30
SECONDS_TO_ARRIVE = 30


class Load:
    """Numbered events, published by several publishers at once."""

    def __init__(self, server, account):
        self._server, self._account = server, account
        self._lock = threading.Lock()
        self.acknowledged = set()

    def publish(self, numbers, kill_after=None):
        """Publishes these events, or as many of them as are acknowledged before the server is killed."""
        with ThreadPoolExecutor(PUBLISHERS) as pool:
            shares = [numbers[place::PUBLISHERS] for place in range(PUBLISHERS)]
            for publisher in [pool.submit(self._publish_share, share, kill_after) for share in shares]:
                publisher.result(SECONDS_TO_PUBLISH)

    def _publish_share(self, numbers, kill_after):
        admin = Admin(self._server.base, self._server.admin_token())
        try:
            for number in numbers:
                admin.publish(self._account, "load.numbered", json.dumps({"number": number}), f"load-{number}")
                self._count(number, kill_after)
        except httpx.TransportError:
            assert kill_after is not None, "the server went away by itself"
        finally:
            admin.close()

    def _count(self, number, kill_after):
        with self._lock:
            self.acknowledged.add(number)
            if len(self.acknowledged) == kill_after:
                self._server.kill()


class Deliveries:
    """What arrived. What comes twice has to be the same delivery in the same bytes."""

    def __init__(self, secret):
        self._secret = secret
        self._bodies = {}
        self.numbers = set()

    def add(self, received):
        assert all(accepts(received, self._secret) for accepts in JUDGES[STANDARD.name])
        assert self._bodies.setdefault(received.headers["webhook-id"], received.body) == received.body
        self.numbers.add(json.loads(received.body)["data"]["number"])


@pytest.mark.parametrize("is_held", [False, True], ids=["receiver-answers", "receiver-is-silent"])
def test_no_acknowledged_event_is_lost(is_held, launch, receiver):
    """With a silent receiver nothing is delivered before the crash, so everything has to come after it."""
    server = launch(STANDARD.name, "crash").start()
    admin = Admin(server.base, server.admin_token())
    customer = Customer(STANDARD, server, admin)
    admin.close()
    before = receiver.inbox("/crash", is_held=is_held)
    webhook = customer.register(receiver.url("/crash"), ["load.*"])
    load = Load(server, customer.account)

    load.publish(range(EVENTS), kill_after=KILLED_AFTER)
    unacknowledged = sorted(set(range(EVENTS)) - load.acknowledged)
    assert unacknowledged, "the crash came under load"
    after = receiver.inbox("/crash")
    before.release()
    server.start()
    load.publish(unacknowledged)

    deliveries = Deliveries(webhook.secret)
    while not before.is_empty():
        deliveries.add(before.take())
    if is_held:
        deliveries.numbers.clear()
    while len(deliveries.numbers) < EVENTS:
        deliveries.add(after.take(SECONDS_TO_ARRIVE))
    assert deliveries.numbers == load.acknowledged == set(range(EVENTS))
    assert server.stop() == 0
