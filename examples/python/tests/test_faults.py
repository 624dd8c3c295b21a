"""The client, while the server or the connection fails."""

import os
import socket
import ssl
import tempfile
import threading
import time
import unittest
from typing import Callable, List

from waddle_client import Client, Unavailable
from waddle_client.testing import Server


class RestartTest(unittest.TestCase):
    def test_a_restart_of_the_server_is_not_noticed(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        server = Server(
            SESSION_STORAGE="keyfolder", SESSION_DIR=directory.name, SESSION_DURABILITY="commit"
        )
        server.start()
        self.addCleanup(server.close)
        client = Client(server.address, timeout=60, patience=30)
        self.addCleanup(client.close)
        id = client.commit(set={"n": 0})["id"]
        for n, end in enumerate([server.terminate, server.kill, server.terminate], 1):
            end()
            # The connection that is idle is dead by now, and nobody listens yet.
            starting = threading.Timer(0.05, server.start, kwargs={"wait": False})
            starting.start()
            self.assertEqual(client.commit(id, set={"n": n})["values"], {"n": n})
            starting.join()

    def test_no_server_is_an_error_and_not_an_unknown_session(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            client = Client(f"unix:{folder}/s.sock", patience=0)
            for call in (
                lambda: client.load("A" * 43),
                lambda: client.commit(set={"a": 1}),
                lambda: client.destroy("A" * 43),
            ):
                with self.assertRaisesRegex(Unavailable, "cannot be reached"):
                    call()


class Peer:
    """A listener that treats each connection as it is told to."""

    def __init__(self, *parts: Callable[[socket.socket], None]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.address = f"unix:{self.folder.name}/s.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{self.folder.name}/s.sock")
        self.listener.listen()
        self.requests: List[bytes] = []
        self.parts = parts
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        for part in self.parts:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                part(connection)

    def request(self, connection: socket.socket) -> None:
        """Read one request."""
        with connection.makefile("rb") as stream:
            head = list(iter(stream.readline, b"\r\n"))
            length = sum(
                int(line.split(b":")[1])
                for line in head
                if line.lower().startswith(b"content-length")
            )
            self.requests.append(b"".join(head) + stream.read(length))

    def drop(self, connection: socket.socket) -> None:
        """Read a request and answer nothing."""
        self.request(connection)

    def answer(
        self,
        connection: socket.socket,
        body: bytes = b'{"found":true,"ended":true}',
        more: str = "",
    ) -> None:
        """Read a request and answer it."""
        self.request(connection)
        connection.sendall(
            f"HTTP/1.1 200 OK\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body
        )

    def close(self) -> None:
        # Closing a listener does not wake who accepts.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        self.folder.cleanup()


class FaultTest(unittest.TestCase):
    def peer(self, *names: str) -> Peer:
        peer = Peer(
            *(lambda connection, name=name: getattr(peer, name)(connection) for name in names)
        )
        self.addCleanup(peer.close)
        return peer

    def client(self, peer: Peer, **options: float) -> Client:
        client = Client(peer.address, patience=0.2, **options)  # type: ignore[arg-type]
        self.addCleanup(client.close)
        return client

    def test_what_may_be_repeated_is_repeated_once(self) -> None:
        peer = self.peer("drop", "answer")
        self.assertTrue(self.client(peer).touch("x"))
        self.assertEqual(len(peer.requests), 2)
        peer = self.peer("drop", "drop", "answer")
        with self.assertRaisesRegex(Unavailable, "no answer"):
            self.client(peer).touch("x")
        self.assertEqual(len(peer.requests), 2)

    def test_what_changes_an_id_is_not_repeated(self) -> None:
        for name, call in [
            ("renew", lambda c: c.renew("x")),
            ("begin", lambda c: c.commit(set={"a": 1})),
            ("log in", lambda c: c.commit("x", log_in={"user": "ada"})),
            ("compare", lambda c: c.commit("x", revision=1, on_conflict="fail", set={"a": 1})),
        ]:
            with self.subTest(name):
                peer = self.peer("drop", "answer")
                with self.assertRaisesRegex(Unavailable, "no answer"):
                    call(self.client(peer))
                self.assertEqual(len(peer.requests), 1)

    def test_a_connection_that_was_closed_while_idle_is_not_used(self) -> None:
        peer = self.peer("answer", "answer")
        client = self.client(peer)
        self.assertTrue(client.destroy("x"))
        while not client._pool._idle.queue[-1] or not _closed(client):
            time.sleep(0.001)
        with self.assertRaisesRegex(
            KeyError, "session"
        ):  # the second connection was made, and used once
            client.renew("x")
        self.assertEqual(len(peer.requests), 2)

    def test_a_server_that_is_silent(self) -> None:
        done = threading.Event()
        self.addCleanup(done.set)
        peer = Peer(lambda _: done.wait(30) and None)
        self.addCleanup(peer.close)
        self.addCleanup(done.set)
        client = self.client(peer, timeout=0.1)
        with self.assertRaisesRegex(Unavailable, "did not answer within 0.1 s"):
            client.load("x")

    def test_all_connections_are_in_use(self) -> None:
        done = threading.Event()
        peer = Peer(lambda _: done.wait(30) and None)
        self.addCleanup(peer.close)
        self.addCleanup(done.set)
        client = Client(peer.address, connections=1, timeout=0.2)
        connection = client._pool.take(1)
        with self.assertRaisesRegex(Unavailable, "all 1 connections"):
            client.load("x")
        client._pool.give(connection, False)

    def test_who_answers_is_no_server_of_sessions(self) -> None:
        for body in [b"<html>", b"[]", b"", b"null"]:
            with self.subTest(body):
                peer = Peer(
                    lambda connection: (
                        peer.request(connection),
                        connection.sendall(
                            b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s"
                            % (len(body), body)
                        ),
                    )[1]
                )
                self.addCleanup(peer.close)
                with self.assertRaisesRegex(Unavailable, "404.*right address"):
                    self.client(peer).load("x")

    def test_how_long_to_wait(self) -> None:
        body = (
            b'{"error":{"code":"too_many_requests","message":"slow down","retry_after_ms":1500}}'
        )
        peer = Peer(
            lambda connection: (
                peer.request(connection),
                connection.sendall(
                    b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(body), body)
                ),
            )[1]
        )
        self.addCleanup(peer.close)
        with self.assertRaises(Unavailable) as caught:
            self.client(peer).load("x")
        self.assertEqual(
            (caught.exception.code, caught.exception.retry_after), ("too_many_requests", 1.5)
        )


def _closed(client: Client) -> bool:
    from waddle_client.pool import stale

    return stale(client._pool._idle.queue[-1])


@unittest.skipUnless(
    "WADDLE_TEST_CERTIFICATES" in os.environ,
    "SKIPPED: mutual TLS, for which 'go test' makes certificates",
)
class MutualTLSTest(unittest.TestCase):
    def test_both_sides_are_authenticated(self) -> None:
        files = os.environ["WADDLE_TEST_CERTIFICATES"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = Server(
            [
                "--addr",
                f"127.0.0.1:{port}",
                "--tls-cert",
                f"{files}/server.pem",
                "--tls-key",
                f"{files}/server.key",
                "--client-ca",
                f"{files}/ca.pem",
            ]
        )

        def tls(name: str, ca: str) -> ssl.SSLContext:
            return Client.tls_context(
                f"{files}/{name}.pem", f"{files}/{name}.key", f"{files}/{ca}.pem"
            )

        def client(name: str, ca: str) -> Client:
            return Client(f"https://127.0.0.1:{port}", tls=tls(name, ca), patience=0)

        server.start(wait=False)
        self.addCleanup(server.close)
        server.wait(f"https://127.0.0.1:{port}", tls("client", "ca"))
        known = client("client", "ca")
        id = known.commit(set={"a": 1})["id"]
        loaded = known.load(id)
        assert loaded is not None
        self.assertEqual(loaded["values"], {"a": 1})
        with self.assertRaises(Unavailable):  # the server does not know this client
            client("stranger", "ca").load(id)
        with self.assertRaisesRegex(
            Unavailable, "no TLS.*CERTIFICATE_VERIFY_FAILED"
        ):  # the client does not know this server
            client("client", "strangers").load(id)
        self.assertTrue(tls("client", "ca").check_hostname)


if __name__ == "__main__":
    unittest.main()
