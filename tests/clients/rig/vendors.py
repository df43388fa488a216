"""What the tests know of each contract: as much as a reader of its documentation."""

from dataclasses import dataclass, field

from rig import documents


@dataclass(frozen=True)
class Vendor:
    """One contract from its customer's side."""

    name: str
    # What the documents print where a customer puts their own.
    printed_host: str
    printed_key: str
    printed_id: str
    # The host of the callback URL in the documents.
    callback_host: str
    webhooks_path: str
    # What a key needs to manage webhooks.
    key: dict
    # The documented event types, with data as JSON text.
    events: dict
    url_member: str = "url"
    # Members of a registration beside the URL and the events.
    extra: dict = field(default_factory=dict)

    def __str__(self):
        return self.name


def _payload(event_type):
    """The data of a payload that the documents print whole: all but the two members of the envelope."""
    printed = documents.parsed("aira", f"{event_type}.json")
    return {name: value for name, value in printed.items() if name not in ("event", "timestamp")}


AIOKA = Vendor(
    name="aioka",
    printed_host="https://api.aioka.io",
    printed_key="aik_basic_...",
    printed_id="3fa85f64-5717-4562-b3fc-2c963f66afa6",
    callback_host="your-server.com",
    webhooks_path="/v1/webhooks",
    key={"tier": "basic"},
    events={
        "verdict.new": {"verdict": "HOLD", "confidence": 0.82},
        "council.new": {"members": 5, "agreed": True},
        "regime.change": {"from": "risk_on", "to": "risk_off"},
        "ghost.signal": {"pair": "BTC/USDT", "entry": "64250.10"},
        "macro.alert": {"correlation": -0.17, "threshold": "±0.15"},
    },
)
AIRA = Vendor(
    name="aira",
    printed_host="https://api.airaproof.com",
    printed_key="aira_live_xxxxx",
    printed_id="{id}",
    callback_host="app.acme.com",
    webhooks_path="/api/v1/webhooks",
    key={},
    events={name: _payload(name) for name in ("case.complete", "case.requires_human_review")},
)
ELYDORA = Vendor(
    name="elydora",
    printed_host="https://api.elydora.com",
    printed_key="<token>",
    printed_id="0195a1b2-c3d4-7e5f-a6b7-c8d9e0f1a2b3",
    callback_host="hooks.acme.com",
    webhooks_path="/v1/webhooks",
    key={"roles": ["security_admin"]},
    events={
        "operation.accepted": {"operation_id": "op-1", "sequence": 12345678901234567890},
        "epoch.created": {"epoch": 7, "root": "b1946ac92492d2347c6235b4d2611184"},
        "agent.status_changed": {"agent_id": "agent-1", "change": "active → frozen"},
    },
    url_member="endpoint_url",
    extra={"secret": "my-super-secret-signing-key-32chars"},
)
PIPAI = Vendor(
    name="pipai",
    printed_host="https://api.pipai.example",
    printed_key="$API_KEY",
    printed_id="wh_2a4f10",
    callback_host="example.com",
    webhooks_path="/v1/webhooks",
    key={"scopes": ["webhooks:read", "webhooks:write"]},
    events={
        "strategy.deployed": {"strategy_id": "st_1", "dry_run": False},
        "strategy.position_opened": {"strategy_id": "st_1", "size": "0.25"},
        "strategy.error": {"strategy_id": "st_1", "message": "margin exhausted"},
        "backtest.job_done": {"job_id": "bt_9", "sharpe": 1.31},
    },
)
STANDARD = Vendor(
    name="standard",
    printed_host="https://api.example.com",
    printed_key="$API_KEY",
    printed_id="{id}",
    callback_host="hooks.example.com",
    webhooks_path="/v1/webhooks",
    key={},
    events={
        "invoice.paid": {"invoice": "in_1", "total": 12.50},
        "user.profile.updated": {"user": "Zoë", "age": 41},
    },
)

VENDORS = (AIOKA, AIRA, ELYDORA, PIPAI, STANDARD)
