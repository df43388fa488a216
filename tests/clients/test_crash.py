"""`kill -9` under load: no acknowledged event is missing at the receiver."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

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


def test_no_acknowledged_event_is_lost(launch, receiver):
    server = launch(STANDARD.name, "crash").start()
    admin = Admin(server.base, server.admin_token())
    customer = Customer(STANDARD, server, admin)
    admin.close()
    inbox = receiver.inbox("/crash")
    webhook = customer.register(receiver.url("/crash"), ["load.*"])
    load = Load(server, customer.account)

    load.publish(range(EVENTS), kill_after=KILLED_AFTER)
    unacknowledged = sorted(set(range(EVENTS)) - load.acknowledged)
    assert unacknowledged, "the crash came under load"
    server.start()
    load.publish(unacknowledged)

    assert _arrived(inbox, webhook.secret) == load.acknowledged == set(range(EVENTS))
    assert server.stop() == 0


def _arrived(inbox, secret):
    """The numbers that arrive. What comes twice has to be the same delivery in the same bytes."""
    numbers, bodies = set(), {}
    while len(numbers) < EVENTS:
        received = inbox.take(SECONDS_TO_ARRIVE)
        assert all(accepts(received, secret) for accepts in JUDGES[STANDARD.name])
        assert bodies.setdefault(received.headers["webhook-id"], received.body) == received.body
        numbers.add(json.loads(received.body)["data"]["number"])
    return numbers
