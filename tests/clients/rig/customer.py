"""A customer of the product: one account, one key, and calls to the contract's own routes."""

import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass

import httpx

from rig import documents


@dataclass(frozen=True)
class Webhook:
    """A registered webhook, with the secret that signs its deliveries."""

    id: str
    secret: str


class Customer:
    """A fresh account on one server, so that no test sees another one's webhooks, limits and rates."""

    def __init__(self, vendor, server, admin):
        self.vendor = vendor
        self.account = str(uuid.uuid4())  # some contracts show it as the organisation
        self._server = server
        admin.call("POST", "/accounts", {"id": self.account})
        made = admin.call("POST", f"/accounts/{self.account}/keys", vendor.key)
        self.key = made["key"]
        self._signing_secret = made.get("signing_secret")

    def register(self, url, events):
        """Registers a webhook as the contract's documents say."""
        body = {self.vendor.url_member: url, "events": list(events), **self.vendor.extra}
        answer = self.call("POST", self.vendor.webhooks_path, body)
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return self.webhook_of(answer.json())

    def webhook_of(self, answer):
        """The webhook that the answer to a registration speaks of."""
        shown = answer.get("webhook", answer)
        secret = shown.get("secret") or self.vendor.extra["secret"]
        return Webhook(shown.get("id") or shown["webhook_id"], secret)

    def call(self, method, target, body=None):
        """One call to the public API."""
        sent = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **self.credentials(method, target, sent)}
        url = f"{self._server.base}{target}"
        return httpx.request(method, url, content=sent, headers=headers, timeout=15, trust_env=False)

    def rotate(self, webhook, body=None):
        """Replaces the webhook's secret; the answer shows the new one where the server made it."""
        answer = self.call("POST", f"{self.vendor.webhooks_path}/{webhook.id}/rotate-secret", body or {})
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    def printed_command(self, name, webhook=None):
        """A documented command with this server's address, this customer's key and, if given, the webhook's id."""
        vendor = self.vendor
        command = documents.command(vendor.name, name)
        command = command.replace(vendor.printed_host, self._server.base).replace("HOST/", f"{self._server.base}/")
        if not vendor.printed_key.startswith("$"):
            command = command.replace(vendor.printed_key, self.key)
        return command.replace(vendor.printed_id, webhook.id) if webhook else command

    def shell_variables(self, method, target, body):
        """The variables that documented commands use."""
        timestamp, signature = self._signed(method, target, body.encode())
        return {"API_KEY": self.key, "TS": timestamp, "SIG": signature}

    def credentials(self, method, target, body):
        """The headers that let this customer in. `body` is the bytes to be sent."""
        if self.vendor.name == "aioka":
            return {"X-API-Key": self.key}
        if self._signing_secret is None:
            return {"Authorization": f"Bearer {self.key}"}
        timestamp, signature = self._signed(method, target, body)
        return {"X-PipAI-API-Key": self.key, "X-PipAI-Timestamp": timestamp, "X-PipAI-Signature": signature}

    def _signed(self, method, target, body):
        """Hex HMAC-SHA256 over timestamp, method, path and body without anything between them."""
        timestamp = str(time.time_ns() // 1_000_000)
        signed = f"{timestamp}{method}{target}".encode() + body
        secret = (self._signing_secret or "").encode()
        return timestamp, hmac.new(secret, signed, hashlib.sha256).hexdigest()
