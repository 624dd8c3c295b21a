"""Connections to a server, shared by the threads of a process."""

from __future__ import annotations

import atexit
import http.client
import os
import queue
import select
import socket
import ssl
import time
import weakref
from typing import Callable, Optional
from urllib.parse import urlsplit

from .errors import Unavailable

_PAUSE = 0.02  # between attempts to connect, in seconds


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except BaseException:
            self.sock.close()
            raise


def dialer(
    address: str, timeout: float, tls: Optional[ssl.SSLContext]
) -> Callable[[], http.client.HTTPConnection]:
    """Return a function that makes connections to ``unix:/path`` or ``https://host:port``.

    :raises ValueError: for any other address.
    """
    if address.startswith("unix:"):
        path = address[len("unix:") :]
        if not path:
            raise ValueError(
                "the server's address is 'unix:': must be followed by the socket's path"
            )
        return lambda: UnixConnection(path, timeout)
    url = urlsplit(address)
    if (
        url.scheme != "https"
        or not url.hostname
        or url.path not in ("", "/")
        or url.query
        or url.fragment
    ):
        raise ValueError(
            f"the server's address is {address!r}: must be unix:/path/to.sock or https://host:port"
        )
    context = tls or ssl.create_default_context()
    host, port = url.hostname, url.port
    return lambda: http.client.HTTPSConnection(host, port, timeout=timeout, context=context)


def stale(connection: http.client.HTTPConnection) -> bool:
    """Report whether the server has closed an idle connection, or sent something unasked."""
    if connection.sock is None:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([connection.sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


class Pool:
    """At most ``size`` connections, each used by one thread at a time.

    A thread that finds all of them in use waits. A process that was forked
    begins with none, and leaves those of its parent alone.
    """

    def __init__(
        self, dial: Callable[[], http.client.HTTPConnection], size: int, patience: float
    ) -> None:
        self._dial = dial
        self._size = size
        self._patience = patience
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        # None stands for a connection that is not there yet. The last one that was
        # given back is the first to be taken, so that few stay open in quiet times.
        self._idle: "queue.LifoQueue[Optional[http.client.HTTPConnection]]" = queue.LifoQueue()
        for _ in range(self._size):
            self._idle.put(None)

    def take(self, wait: float) -> http.client.HTTPConnection:
        """Return a connection that nobody else uses, open or to be opened.

        :raises Unavailable: if none is given back within ``wait`` seconds.
        """
        try:
            connection = self._idle.get(timeout=wait)
        except queue.Empty:
            raise Unavailable(
                f"all {self._size} connections to the sessions' server were in use for {wait:g} s"
            ) from None
        if connection is not None and stale(connection):
            connection.close()
            connection = None
        return connection or self._dial()

    def open(self, connection: http.client.HTTPConnection) -> None:
        """Connect, and try again for a moment: a server that is restarted is away for an instant.

        :raises Unavailable: if the server cannot be reached.
        """
        end = time.monotonic() + self._patience
        while True:
            try:
                return connection.connect()
            except ssl.SSLError as error:
                raise Unavailable(f"no TLS with the sessions' server: {error}") from error
            except OSError as error:
                if time.monotonic() + _PAUSE > end:
                    raise Unavailable(
                        f"the sessions' server cannot be reached: {error}"
                    ) from error
                time.sleep(_PAUSE)

    def give(self, connection: http.client.HTTPConnection, usable: bool) -> None:
        """Give a connection back. One that is not usable is closed."""
        if not usable or connection.sock is None:
            connection.close()
            self._idle.put(None)
        else:
            self._idle.put(connection)

    def close(self) -> None:
        """Close the connections that are idle. The pool can be used again."""
        idle = []
        while True:
            try:
                idle.append(self._idle.get_nowait())
            except queue.Empty:
                break
        for connection in idle:
            if connection is not None:
                connection.close()
            self._idle.put(None)


_pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()


def _after_fork() -> None:
    # A parent and its child must not write into one connection. Closing the child's
    # copies, which happens when they are no longer referenced, says nothing to the server.
    for pool in list(_pools):
        pool._reset()


@atexit.register
def _at_exit() -> None:
    for pool in list(_pools):
        pool.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
