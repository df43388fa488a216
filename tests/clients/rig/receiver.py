"""An HTTPS receiver on loopback, as a customer would run one."""

import queue
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# How long a connection may stay silent before its thread ends.
IDLE_SECONDS = 30


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    headers: dict  # names in lower case
    body: bytes
    at: float  # monotonic seconds

    def tampered(self):
        """The same request with one bit of the body turned over: at the start, in the middle, at the end."""
        for place in (0, len(self.body) // 2, len(self.body) - 1):
            body = bytearray(self.body)
            body[place] ^= 1
            yield Received(self.headers, bytes(body), self.at)


class Inbox:
    """What came for one path. It answers with the planned statuses first, then always with 200.

    A held inbox takes requests and answers none of them until it is released.
    """

    def __init__(self, statuses, is_held):
        self._planned = list(statuses)
        self._released = threading.Event()
        if not is_held:
            self._released.set()
        self._came = queue.Queue()
        self._lock = threading.Lock()

    def accept(self, received):
        with self._lock:
            self._came.put(received)
            status = self._planned.pop(0) if self._planned else 200
        self._released.wait(IDLE_SECONDS)
        return status

    def release(self):
        self._released.set()

    def take(self, seconds=15.0):
        """The next request, waited for."""
        try:
            return self._came.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"nothing was received within {seconds} s") from None

    def is_empty(self):
        return self._came.empty()


class Receiver:
    """Serves every path that has an inbox; all others answer 404."""

    def __init__(self, context):
        self._inboxes = {}
        self._server = _Server(context, self._accept)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def inbox(self, path, statuses=(), is_held=False):
        """A fresh inbox for this path, in place of the one it had."""
        self._inboxes[path] = Inbox(statuses, is_held)
        return self._inboxes[path]

    def url(self, path):
        return f"https://localhost:{self.port}{path}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _accept(self, path, received):
        inbox = self._inboxes.get(path)
        return inbox.accept(received) if inbox else 404


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, context, accept):
        self._context = context
        self.accept_received = accept
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request, client_address):
        """Runs in the connection's own thread, so that a slow handshake holds up nobody else."""
        request.settimeout(IDLE_SECONDS)
        try:
            with self._context.wrap_socket(request, server_side=True) as secured:
                self.RequestHandlerClass(secured, client_address, self)
        except OSError:
            pass  # the other side went away, as it does when it is killed


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = self.server.accept_received(self.path, Received(headers, body, time.monotonic()))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *args):
        pass
