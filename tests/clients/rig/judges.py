"""How receivers verify: the vendors' own packages and printed listings, and the off-the-shelf clients.

Each judge takes one request as received and the webhook's secret, and says whether it is genuine.
"""

import hashlib
import hmac

import standardwebhooks
import svix.webhooks
from aira.extras.webhooks import verify_signature as aira_verifies

from rig import documents

_PREFIX = "sha256="
_VERIFY_SIGNATURE = documents.listing("aioka", "verify_signature.py")["verify_signature"]
_VERIFY = documents.listing("aioka", "verify.py")["verify"]


def aioka_overview(received, secret, header="x-aioka-signature"):
    """The listing that compares with the whole header."""
    return _VERIFY_SIGNATURE(secret, received.body, received.headers.get(header, ""))


def aioka_deliveries_page(received, secret, header="x-aioka-signature"):
    """The listing that compares bare hex: what stands after the prefix."""
    value = received.headers.get(header, "")
    return value.startswith(_PREFIX) and _VERIFY(secret, received.body, value.removeprefix(_PREFIX))


def aira_sdk(received, secret, header="x-aira-signature"):
    """The vendor's own package."""
    return aira_verifies(received.body, received.headers.get(header, ""), secret)


def elydora_body(received, secret, header="x-elydora-signature"):
    """HMAC-SHA256 over the body, as the vendor promises."""
    return _is_hex_hmac(secret, received.body, received.headers.get(header, "").removeprefix(_PREFIX))


def pipai_timestamp_and_body(received, secret, header="x-pipai-signature"):
    """HMAC-SHA256 over `timestamp.body`, in bare hex."""
    signed = received.headers["x-pipai-timestamp"].encode() + b"." + received.body
    return _is_hex_hmac(secret, signed, received.headers.get(header, ""))


def standardwebhooks_client(received, secret):
    """The reference client of the Standard Webhooks specification."""
    return _accepts(standardwebhooks.Webhook(secret), received, standardwebhooks.WebhookVerificationError)


def svix_client(received, secret):
    """Svix's client, which also reads the Standard Webhooks headers."""
    return _accepts(svix.webhooks.Webhook(secret), received, svix.webhooks.WebhookVerificationError)


def _is_hex_hmac(secret, signed, value):
    return hmac.compare_digest(hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest(), value)


def _accepts(client, received, refusal):
    try:
        client.verify(received.body, received.headers)
    except refusal:
        return False
    return True


JUDGES = {
    "aioka": (aioka_overview, aioka_deliveries_page),
    "aira": (aira_sdk,),
    "elydora": (elydora_body,),
    "pipai": (pipai_timestamp_and_body,),
    "standard": (standardwebhooks_client, svix_client),
}
