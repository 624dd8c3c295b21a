"""The sessions of a user, on all devices, whether they were begun here or in a program in Go."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Dict, Iterable, List, Union

from django.conf import settings
from django.db.models import Model

from . import conf


def sessions(user: Union[Model, str]) -> List[Dict[str, Any]]:
    """Return the sessions that a user is logged in with, the oldest log-in first.

    Each has ``public_id``, ``note``, ``created``, ``last_seen`` and ``expires``.
    A user is a Django user, or the name that programs in Go have for it.
    """
    return conf.client().user_sessions(_name(user))


def revoke(user: Union[Model, str], public_id: str) -> bool:
    """End one session of a user, and report whether there was one."""
    return conf.client().revoke(_name(user), public_id)


def revoke_all(user: Union[Model, str], except_: Iterable[str] = ()) -> int:
    """End the sessions of a user, except those with these public ids, and return how many ended.

    ``revoke_all(user, except_=[request.session.public_id])`` logs a user out everywhere else.
    """
    return conf.client().revoke_all(_name(user), except_)


def _name(user: Union[Model, str]) -> str:
    if isinstance(user, str):
        return user
    engine = import_module(settings.SESSION_ENGINE)
    return engine.SessionStore.user_name(user._meta.pk.value_to_string(user))
