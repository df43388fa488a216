"""The server under test: a process of its own, with its own data."""

import os
import signal
import socket
import subprocess

import httpx

from rig.waiting import until

# `localhost` stands for an address of either family, and all addresses of a host have to be allowed.
LOOPBACK = ("127.0.0.0/8",)
START_SECONDS = 30
# What the server promises for SIGTERM.
DRAIN_SECONDS = 15


class Posthaste:
    """`posthaste serve` with one contract and one data folder."""

    def __init__(self, binary, contract, folder, ca_file, connect_to=()):
        self._command = [str(binary), "serve", "--contract", str(contract), "--data", str(folder / "data")]
        self._command += ["--ca-file", str(ca_file)]
        for network in LOOPBACK:
            self._command += ["--allow-net", network]
        for entry in connect_to:
            self._command += ["--connect-to", entry]
        self._folder = folder
        self._process = None
        self.base = None

    def start(self):
        """Starts it and waits until it is ready. The data may come from an earlier life."""
        self._folder.mkdir(parents=True, exist_ok=True)
        port = _free_port()
        self.base = f"http://127.0.0.1:{port}"
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "--listen", f"127.0.0.1:{port}"],
                cwd=self._folder,
                env=plain_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._is_ready, f"{self.base}/readyz answers 200", START_SECONDS)
        return self

    def admin_token(self):
        return (self._folder / "data" / "admin.token").read_text().strip()

    def log(self):
        return (self._folder / "log").read_text(errors="replace")

    def stop(self):
        """Asks it to end, as a service manager would, and returns its exit status."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end within {DRAIN_SECONDS} s of SIGTERM\n{self.log()}") from None

    def kill(self):
        """Ends it as a crash would."""
        self._process.kill()
        self._process.wait(10)

    def _is_ready(self):
        if self._process.poll() is not None:
            raise AssertionError(f"the server ended with {self._process.returncode}\n{self.log()}")
        try:
            return httpx.get(f"{self.base}/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


def plain_environment():
    """This process's environment without settings of the program and without proxies."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTHASTE_")}
    return {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
