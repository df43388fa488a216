"""What Schemathesis has to be told of a running server: who its customers are, and where their receivers stand.

The `schemathesis` command loads this file (`SCHEMATHESIS_HOOKS`); the environment says which server it is about.
"""

import base64
import os
import re
from types import SimpleNamespace

import requests.auth
import schemathesis
from hypothesis import strategies

from rig.admin import Admin
from rig.customer import Customer
from rig.vendors import VENDORS

# A customer makes this many calls and leaves the next ones to another, so that nobody meets the rates.
CALLS_OF_A_CUSTOMER = 12


class Customers(requests.auth.AuthBase):
    """Signs each request as the customer who owns the webhook it names, else as the one whose turn it is."""

    def __init__(self, vendor, base, token):
        self._vendor, self._server = vendor, SimpleNamespace(base=base)
        self._admin = Admin(base, token)
        self._owners = {}
        self._present, self._calls = None, 0

    def __call__(self, request):
        caller = self._owner(request.path_url) or self._next()
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        request.headers.update(caller.credentials(request.method, request.path_url, body))
        request.register_hook("response", lambda answer, **_: self._learn(caller, answer))
        return request

    def _owner(self, target):
        named = re.split(r"[/?]", target)
        return next((self._owners[part] for part in named if part in self._owners), None)

    def _next(self):
        if self._present is None or self._calls == CALLS_OF_A_CUSTOMER:
            self._present, self._calls = Customer(self._vendor, self._server, self._admin), 0
        self._calls += 1
        return self._present

    def _learn(self, caller, answer):
        if answer.status_code == 201:
            self._owners[caller.webhook_of(answer.json()).id] = caller


def receivers(host):
    """URLs that a customer of this test could own."""
    part = strategies.text("abcdefghijklmnopqrstuvwxyz0123456789-_.~", min_size=1, max_size=20)
    return part.filter(lambda text: text.strip(".")).map(lambda text: f"https://{host}/{text}")


def secrets(spells_bytes):
    """Signing secrets that a customer could bring."""
    if not spells_bytes:
        return strategies.text(strategies.characters(exclude_categories=["Z", "C"]), min_size=16, max_size=64)
    return strategies.binary(min_size=24, max_size=64).map(lambda key: f"whsec_{base64.b64encode(key).decode()}")


@schemathesis.hook
def map_case(context, case):
    """A cursor is good for the list it came from alone, so an invented one is refused, and rightly."""
    if case.meta is not None and case.meta.generation.mode.is_positive and case.query:
        case.query.pop("cursor", None)
    return case


VENDOR = next(vendor for vendor in VENDORS if vendor.name == os.environ["PROBED_CONTRACT"])
schemathesis.openapi.format("uri", receivers(VENDOR.callback_host))
schemathesis.openapi.format("password", secrets(VENDOR.name == "standard"))
schemathesis.auth.set_from_requests(Customers(VENDOR, os.environ["PROBED_BASE"], os.environ["PROBED_TOKEN"]))
