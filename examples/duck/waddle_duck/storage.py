"""The storage class, and the connection that it shares with the engine."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, Mapping, Optional

from waddle_client import Client, Gone


def setting(name: str, default: Any = None) -> Any:
    """Return one of the project's settings."""
    # Duck reads the project's settings when this module is imported, so it comes first.
    from duck.settings import SETTINGS

    value = SETTINGS.get(name)
    return default if value is None else value


@lru_cache(maxsize=None)
def client() -> Client:
    """Return the client that all sessions of this process share.

    :raises ValueError: if the settings name no server.
    """
    socket, url = setting("WADDLE_SOCKET"), setting("WADDLE_URL")
    if bool(socket) == bool(url):
        raise ValueError(
            "WADDLE_SOCKET and WADDLE_URL: one of them must be set: to the path of the socket that"
            " 'waddle serve' listens on, or to its https address"
        )
    options = {
        "timeout": setting("WADDLE_TIMEOUT", 5.0),
        "connections": setting("WADDLE_CONNECTIONS", 8),
    }
    if socket:
        return Client(f"unix:{socket}", **options)
    files = [setting(name) for name in ("WADDLE_CERTIFICATE", "WADDLE_KEY", "WADDLE_CA")]
    if not all(files):
        raise ValueError(
            "WADDLE_CERTIFICATE, WADDLE_KEY and WADDLE_CA must be set with WADDLE_URL"
        )
    return Client(url, tls=Client.tls_context(*map(str, files)), **options)


class SessionStorage:
    """What Duck calls a session storage: values by a session's key.

    It needs the engine of this package, since keys are made by the server: one
    that it does not know cannot be given values.
    """

    def get(self, key: str, default: Any = None) -> Any:
        """Return the values of a session, or ``default`` if there is none with this key."""
        session = client().load(key) if key else None
        return default if session is None else session["values"]

    def set(self, key: str, value: Mapping[str, Any], expiry: Optional[float] = None) -> None:
        """Replace the values of a session, which then lives for ``expiry`` seconds, if given.

        :raises KeyError: if there is no session with this key.
        """
        if not isinstance(value, Mapping):
            raise TypeError(
                f"the session is of type {type(value).__name__}: must be a dict of values;"
                " set SESSION_ENGINE to 'waddle_duck' as well"
            )
        changes: Dict[str, Any] = {"clear": True, "set": dict(value)}
        if expiry is not None:
            changes["expiry"] = {"lifetime_ms": int(expiry * 1000)}
        try:
            client().commit(key or "-", **changes)
        except Gone as error:
            raise KeyError(
                "there is no session with this key: keys are made by the server; set "
                "SESSION_ENGINE to 'waddle_duck'"
            ) from error

    def delete(self, key: str) -> None:
        """End a session."""
        if key:
            client().destroy(key)

    def clear(self) -> None:
        """Raise an error: a web server may not end everybody's sessions. ``waddle sessions end``
        can.
        """
        raise NotImplementedError(
            "sessions of all users are ended by the operator: see 'waddle help sessions'"
        )

    def save(self) -> None:
        """Do nothing: what was set is stored."""

    def close(self) -> None:
        """Close the connections that are idle."""
        client().close()
