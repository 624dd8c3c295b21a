"""The calls of ``waddle serve``."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from .errors import Conflict, Gone, Refused, Unavailable
from .pool import Pool, dialer

JSON = Dict[str, Any]

_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}


class Client:
    """Sessions of a server, at ``unix:/path/to.sock`` or ``https://host:port``.

    It may be used by many threads at once, and by processes that are forked
    from one that has it. ``timeout`` is the number of seconds that connecting,
    sending or waiting for a part of an answer may take; ``connections`` how
    many are open at most. For ``https``, ``tls`` brings the client's
    certificate and says whom to trust: see :meth:`tls_context`.

    Ids are secrets. They stand in the bodies of calls only.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: Optional[ssl.SSLContext] = None,
        timeout: float = 5.0,
        connections: int = 8,
        patience: float = 0.5,
    ) -> None:
        self._timeout = timeout
        self._pool = Pool(dialer(address, timeout, tls), connections, patience)

    @staticmethod
    def tls_context(certificate: str, key: str, ca: str) -> ssl.SSLContext:
        """Return a TLS context with this client's certificate and the server's authority.

        All three are paths of PEM files.
        """
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        return context

    def load(self, id: str, touch: bool = True) -> Optional[JSON]:
        """Return the session with an id, or None if there is none. With ``touch`` this counts as
        an access.
        """
        answer = self.call("/v1/load", {"id": id, "touch": touch}, again=True)
        return answer["session"] if answer["found"] else None

    def commit(self, id: str = "", **changes: Any) -> JSON:
        """Store changes of a session and return it, with its id. Without an id, a session begins.

        The changes are those of the API: ``set``, ``delete``, ``clear``,
        ``renew``, ``log_in``, ``expiry``, ``modified``, ``revision``, ``on_conflict``.

        :raises Gone: if the session has ended, or has another id by now.
        :raises Conflict: with ``on_conflict="fail"``, if another revision is stored.
        """
        # A call that changes the id cannot be repeated: the first try may have changed it.
        again = (
            bool(id)
            and not changes.get("renew")
            and not changes.get("log_in")
            and "revision" not in changes
        )
        return self.call("/v1/commit", {"id": id, **changes}, again=again)["session"]

    def renew(self, id: str) -> JSON:
        """Give a session a new id and return it.

        :raises Gone: if the session has ended, or has another id by now.
        """
        return self.call("/v1/renew", {"id": id})["session"]

    def destroy(self, id: str) -> bool:
        """End a session, and report whether there was one."""
        return self.call("/v1/destroy", {"id": id}, again=True)["ended"]

    def touch(self, id: str) -> bool:
        """Count an access to a session, and report whether there is one."""
        return self.call("/v1/touch", {"id": id}, again=True)["found"]

    def user_sessions(self, user: str) -> List[JSON]:
        """Return the sessions of a user, the oldest log-in first, without their ids."""
        return self.call("/v1/users/sessions", {"user": user}, again=True)["sessions"]

    def revoke(self, user: str, public_id: str) -> bool:
        """End one session of a user, and report whether there was one."""
        return self.call("/v1/users/revoke", {"user": user, "public_id": public_id}, again=True)[
            "ended"
        ]

    def revoke_all(self, user: str, except_: Iterable[str] = ()) -> int:
        """End the sessions of a user, except those with these public ids, and return how many
        ended.
        """
        return self.call(
            "/v1/users/revoke-all", {"user": user, "except": list(except_)}, again=True
        )["ended"]

    def settings(self) -> JSON:
        """Return the settings in force: the cookie, the lifetimes and the limits."""
        return self.call("/v1/settings", None, again=True)

    def close(self) -> None:
        """Close the connections that are idle. The client can be used again."""
        self._pool.close()

    def call(self, path: str, body: Optional[Mapping[str, Any]], again: bool = False) -> JSON:
        """Make a call and return its answer. Without a body it is a GET.

        ``again`` says that the call may be made twice. It then is, if the
        connection breaks before an answer came.
        """
        data = None if body is None else json.dumps(body, allow_nan=False).encode("utf-8")
        try:
            status, text = self._exchange(path, data)
        except _Broken as error:
            if not again and not error.unsent:
                raise Unavailable(
                    f"no answer from the sessions' server: {error.__cause__!r}"
                ) from error
            try:
                status, text = self._exchange(path, data)
            except _Broken as second:
                raise Unavailable(
                    f"no answer from the sessions' server: {second.__cause__!r}"
                ) from second
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise Unavailable(
                f"the sessions' server answered {status} with no JSON: is this the right address?"
            ) from error
        if status != 200:
            _fail(status, answer)
        return answer

    def _exchange(self, path: str, data: Optional[bytes]) -> Tuple[int, bytes]:
        connection = self._pool.take(self._timeout)
        usable = unsent = False
        try:
            if connection.sock is None:
                self._pool.open(connection)
            try:
                try:
                    connection.request("GET" if data is None else "POST", path, data, _HEADERS)
                except ConnectionError:
                    # The server may have refused a body without reading all of it.
                    unsent = True
                response = connection.getresponse()
                text = response.read()
            except (TimeoutError, socket.timeout) as error:  # two classes before Python 3.10
                raise Unavailable(
                    f"the sessions' server did not answer within {self._timeout:g} s"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                raise _Broken(unsent) from error
            usable = not response.will_close and not unsent
            return response.status, text
        finally:
            self._pool.give(connection, usable)


class _Broken(Exception):
    """Is raised when a connection ended before its answer. ``unsent``: the server cannot have all
    of the call.
    """

    def __init__(self, unsent: bool) -> None:
        super().__init__()
        self.unsent = unsent


def _fail(status: int, answer: Any) -> None:
    """Raise the error that an answer reports."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        raise Unavailable(
            f"the sessions' server answered {status} without an error: is this the right address?"
        )
    code, message = str(error.get("code", "")), str(error.get("message", ""))
    wait = error.get("retry_after_ms")
    retry_after = wait / 1000 if isinstance(wait, (int, float)) else None
    if status == 410:
        raise Gone(message, code)
    if status == 409:
        raise Conflict(message, code, error.get("session"))
    if status == 429 or status >= 500 and status != 507:
        raise Unavailable(message, code, retry_after)
    raise Refused(message, code, retry_after)
