"""Fixtures: one authority, one receiver and one server per contract for the whole run; a customer per test."""

import os
from pathlib import Path

import pytest

from rig.admin import Admin
from rig.authority import Authority
from rig.curl import Curl
from rig.customer import Customer
from rig.receiver import Receiver
from rig.server import Posthaste
from rig.vendors import VENDORS

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def binary():
    """The program under test."""
    path = os.environ.get("POSTHASTE_BINARY")
    assert path and Path(path).exists(), "POSTHASTE_BINARY names the program; `cargo xtask clients` sets it"
    return Path(path)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def receiver(authority):
    """Answers for localhost and for every host that the documents name."""
    hosts = ["localhost", *(vendor.callback_host for vendor in VENDORS)]
    running = Receiver(authority.server_context(hosts))
    yield running
    running.close()


@pytest.fixture(scope="session")
def launch(binary, authority, receiver, tmp_path_factory):
    """Makes servers whose deliveries to the documented hosts arrive at the receiver. They are not started yet."""
    connect_to = [f"{vendor.callback_host}:443:127.0.0.1:{receiver.port}" for vendor in VENDORS]

    def made(contract, name):
        return Posthaste(binary, contract, tmp_path_factory.mktemp(name), authority.file, connect_to)

    return made


@pytest.fixture(scope="session")
def site(launch):
    """The running server of a contract and its admin API, by the vendor; each starts when it is first asked for."""
    running = {}

    def found(vendor):
        if vendor.name not in running:
            server = launch(vendor.name, vendor.name).start()
            running[vendor.name] = server, Admin(server.base, server.admin_token())
        return running[vendor.name]

    yield found
    for server, admin in running.values():
        admin.close()
    assert {name: server.stop() for name, (server, _) in running.items()} == dict.fromkeys(running, 0)


@pytest.fixture
def join(site):
    """A new customer of a vendor, and that vendor's admin API."""

    def joined(vendor):
        server, admin = site(vendor)
        return Customer(vendor, server, admin), admin

    return joined


@pytest.fixture(scope="session")
def curl(tmp_path_factory):
    return Curl(tmp_path_factory.mktemp("curl"))
