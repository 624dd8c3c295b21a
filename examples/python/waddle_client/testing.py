"""A server of sessions for tests: a real ``waddle serve`` in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from typing import IO, List, Optional

from .client import Client
from .errors import Unavailable


class Server:
    """A process of the program that the variable ``WADDLE`` names, by default ``waddle``.

    It keeps its sessions in memory, unless ``storage`` says otherwise. Further
    settings are ``environment``, as for any ``waddle serve``.
    """

    def __init__(self, arguments: Optional[List[str]] = None, **environment: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="waddle-")
        self.socket = os.path.join(self.folder, "s.sock")
        self._arguments = ["--addr", self.address] if arguments is None else arguments
        self._environment = environment
        self._process: Optional["subprocess.Popen[bytes]"] = None
        self._log: Optional[IO[bytes]] = None

    @property
    def address(self) -> str:
        return f"unix:{self.socket}"

    def start(self, wait: bool = True) -> "Server":
        """Start the server, and wait until it answers."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SESSION_", "WADDLE_"))
        }
        self._log = open(os.path.join(self.folder, "log"), "ab")
        self._process = subprocess.Popen(
            [os.environ.get("WADDLE", "waddle"), "serve", *self._arguments],
            env={**inherited, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        if wait:
            self.wait()
        return self

    def wait(
        self,
        address: Optional[str] = None,
        tls: Optional[ssl.SSLContext] = None,
        seconds: float = 60,
    ) -> None:
        """Wait until the server answers."""
        end = time.monotonic() + seconds
        client = Client(address or self.address, tls=tls, timeout=seconds, patience=0)
        while True:
            try:
                client.settings()
                return client.close()
            except Unavailable:
                self._check(end)
                time.sleep(0.01)

    def _check(self, end: float) -> None:
        assert self._process is not None
        if self._process.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"waddle serve does not answer:\n{self.log()}")

    def log(self) -> str:
        """Return what the server has said so far."""
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def terminate(self) -> int:
        """Ask the server to end, wait until it has, and return its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Kill the server, wait until it has ended, and return its exit status."""
        return self._end(signal.SIGKILL)

    def _end(self, how: int) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        status = self._process.wait(60)
        self._process = None
        assert self._log is not None
        self._log.close()
        return status

    def close(self) -> None:
        """End the server and remove its folder."""
        self.terminate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
