"""Compares Django's settings with those of ``waddle serve``.

A browser has one cookie for both sides only if its name, domain, path and
partition are equal. Its other attributes and the lifetimes may differ, and then
whoever answered last decides.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from waddle_client import WaddleError

from . import conf

# Django's setting, the variable of waddle serve, and whether a difference makes two cookies of
# one.
_COOKIE = (
    ("SESSION_COOKIE_NAME", "SESSION_COOKIE_NAME", True),
    ("SESSION_COOKIE_DOMAIN", "SESSION_COOKIE_DOMAIN", True),
    ("SESSION_COOKIE_PATH", "SESSION_COOKIE_PATH", True),
    ("SESSION_COOKIE_SECURE", "SESSION_COOKIE_SECURE", False),
    ("SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_HTTPONLY", False),
    ("SESSION_COOKIE_SAMESITE", "SESSION_COOKIE_SAMESITE", False),
    ("SESSION_EXPIRE_AT_BROWSER_CLOSE", "SESSION_EXPIRE_AT_BROWSER_CLOSE", False),
)

_TWO_COOKIES = "Browsers keep two cookies otherwise, and each side uses a session of its own."


@register(Tags.security)
def settings_agree(
    app_configs: Optional[Sequence[AppConfig]] = None, **_: Any
) -> List[CheckMessage]:
    """Return a message for each setting that differs."""
    if settings.SESSION_ENGINE != "waddle_sessions":
        return []
    try:
        server = conf.client().settings()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="waddle.E001")]
    except WaddleError as error:
        return [
            Warning(
                f"Django's settings were not compared with those of waddle serve: {error}",
                hint="Start waddle serve, or say where it is, and run the check again.",
                id="waddle.W001",
            )
        ]
    return [*_cookie(server["cookie"]), *_lifetimes(server), *_serializer()]


def _cookie(cookie: Mapping[str, Any]) -> List[CheckMessage]:
    theirs = {
        "SESSION_COOKIE_NAME": cookie["name"],
        "SESSION_COOKIE_DOMAIN": cookie["domain"] or None,
        "SESSION_COOKIE_PATH": cookie["path"],
        "SESSION_COOKIE_SECURE": cookie["secure"],
        "SESSION_COOKIE_HTTPONLY": cookie["http_only"],
        "SESSION_COOKIE_SAMESITE": cookie["same_site"],
        "SESSION_EXPIRE_AT_BROWSER_CLOSE": cookie["expire_at_browser_close"],
    }
    found: List[CheckMessage] = []
    for ours_name, their_name, identity in _COOKIE:
        ours, other = _same_form(ours_name, getattr(settings, ours_name), theirs[ours_name])
        if ours == other:
            continue
        message = (
            f"{ours_name} is {ours!r} and {their_name} of waddle serve is {other!r}: must be equal"
        )
        if identity:
            hint = _TWO_COOKIES
            found.append(Error(message, hint=hint, id="waddle.E002"))
        else:
            hint = "Otherwise the cookie is what the side that sent it last made it."
            found.append(Warning(message, hint=hint, id="waddle.W002"))
    if cookie["partitioned"]:
        found.append(
            Error(
                "SESSION_COOKIE_PARTITIONED of waddle serve is true: must be false, since Django"
                " cannot set such cookies",
                hint=_TWO_COOKIES,
                id="waddle.E003",
            )
        )
    return found


def _same_form(name: str, ours: Any, theirs: Any) -> Tuple[Any, Any]:
    """Return two settings in a form in which they can be compared."""
    if name == "SESSION_COOKIE_DOMAIN":
        # Browsers ignore a leading dot.
        return (ours or "").lstrip(".").lower() or None, (theirs or "").lstrip(".").lower() or None
    if name == "SESSION_COOKIE_SECURE":
        # With "auto" the other side decides for each request, as it must behind a
        # proxy that takes both kinds.
        return bool(ours), bool(ours) if theirs == "auto" else theirs in ("always", "true", True)
    if name == "SESSION_COOKIE_SAMESITE":
        # Django leaves the attribute out for False or None, which browsers read as Lax.
        return ours or "Lax", theirs or "Lax"
    return ours, theirs


def _lifetimes(server: Mapping[str, Any]) -> List[CheckMessage]:
    lifetime = server["lifetimes"]["lifetime_ms"] / 1000
    if settings.SESSION_COOKIE_AGE == lifetime:
        return []
    return [
        Warning(
            f"SESSION_COOKIE_AGE is {settings.SESSION_COOKIE_AGE:g} s and SESSION_DURATION "
            f"of waddle serve is {lifetime:g} s:"
            f" must be equal",
            hint="waddle serve ends sessions. Browsers forget the cookie early, or too late.",
            id="waddle.W003",
        )
    ]


def _serializer() -> List[CheckMessage]:
    if settings.SESSION_SERIALIZER == "django.contrib.sessions.serializers.JSONSerializer":
        return []
    return [
        Warning(
            f"SESSION_SERIALIZER is {settings.SESSION_SERIALIZER!r}: it has no effect, "
            "values are stored as JSON",
            hint="Leave SESSION_SERIALIZER at its default.",
            id="waddle.W004",
        )
    ]
