"""The connection to the server, by Django's settings."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Optional

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from waddle_client import Client


@lru_cache(maxsize=None)
def client() -> Client:
    """Return the client that all sessions of this process share.

    :raises ImproperlyConfigured: if the settings name no server, or name it wrongly.
    """
    socket, url = _text("WADDLE_SOCKET"), _text("WADDLE_URL")
    if bool(socket) == bool(url):
        found = "both are set" if socket else "neither is set"
        raise ImproperlyConfigured(
            f"WADDLE_SOCKET and WADDLE_URL: {found}: set WADDLE_SOCKET to the path of the socket"
            " that 'waddle serve' listens on, or WADDLE_URL to its https address"
        )
    tls = None
    if url:
        names = ("WADDLE_CERTIFICATE", "WADDLE_KEY", "WADDLE_CA")
        files = [_text(name) for name in names]
        missing = [name for name, file in zip(names, files) if not file]
        if missing:
            raise ImproperlyConfigured(
                f"{missing[0]} is not set: with WADDLE_URL, {', '.join(names)} must be the paths"
                " of this client's certificate, of its key, and of what signs the server's"
            )
        try:
            tls = Client.tls_context(*files)
        except OSError as error:
            raise ImproperlyConfigured(
                f"{', '.join(names)}: the files cannot be used: {error}"
            ) from error
    try:
        return Client(
            f"unix:{socket}" if socket else url,
            tls=tls,
            timeout=_number("WADDLE_TIMEOUT", 5.0),
            connections=int(_number("WADDLE_CONNECTIONS", 8)),
        )
    except ValueError as error:
        raise ImproperlyConfigured(f"WADDLE_URL: {error}") from error


def _text(name: str) -> str:
    value = getattr(settings, name, None) or ""
    return str(value)


def _number(name: str, default: float) -> float:
    value: Optional[Any] = getattr(settings, name, None)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise ImproperlyConfigured(f"{name} is {value!r}: must be a number above 0")
    return value


@receiver(setting_changed)
def _forget(setting: str, **_: Any) -> None:
    # Tests change settings.
    if setting.startswith("WADDLE_") and client.cache_info().currsize:
        client().close()
        client.cache_clear()
