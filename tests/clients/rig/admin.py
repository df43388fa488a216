"""The product's side: accounts, keys and events over the admin API."""

import json

import httpx


class Admin:
    """Speaks to `/admin/v1` of one server. Every call must succeed unless the caller looks at the answer itself."""

    def __init__(self, base, token):
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=f"{base}/admin/v1", headers=headers, timeout=15, trust_env=False)

    def call(self, method, path, body=None):
        """The JSON of an answer that has to be a success."""
        answer = self._http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def try_publish(self, account, event_type, data):
        """The status that one event gets. `data` is the bytes of some JSON, or of none."""
        head = json.dumps({"type": event_type, "account": account})[:-1].encode()
        body = head + b', "data": ' + data + b"}"
        return self._http.post("/events", content=body, headers={"Content-Type": "application/json"}).status_code

    def publish(self, account, event_type, data, event_id=None):
        """Publishes one event. `data` is JSON text, and goes out as it is."""
        head = {"type": event_type, "account": account}
        if event_id is not None:
            head["id"] = event_id
        body = json.dumps(head)[:-1] + ', "data": ' + data + "}"
        answer = self._http.post("/events", content=body.encode(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 202, f"{answer.status_code} {answer.text}"
        return answer.json()

    def close(self):
        self._http.close()
