"""The session engine."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterator, Mapping, Optional, Union

from waddle_client import Gone, NotStorable, View, parse_time
from waddle_client.times import format_time

from .storage import client, setting

USER_KEY = "_auth_user_id"
LOGIN_KEYS = (USER_KEY, "_auth_backend")

_MISSING = object()

Expiry = Union[None, int, float, datetime, timedelta]


class SessionStore(dict):
    """A session of ``waddle serve``: a dict that is loaded when it is first used.

    Duck's middleware saves it if it was changed, also inside of its values. Only
    keys whose values differ from what was loaded are sent. A log-in gives the
    session a new key, and a log-out ends it, here and in programs in Go.
    """

    def __init__(self, session_key: Optional[str] = None, disable_warnings: bool = False) -> None:
        super().__init__()
        self.session_key = session_key
        self.disable_warnings = disable_warnings
        self.loaded = False
        self.modified = False
        # The session as the server last returned it, without its values.
        self.stored: Optional[Mapping[str, Any]] = None
        self._view = View({})
        self._logged_in = False
        self._cleared = False
        self._expiry: Optional[datetime] = None
        self._expiry_set = False

    # These are called by Duck's middleware.

    def needs_update(self) -> bool:
        """Report whether there is something to save."""
        if not self.loaded:
            return False
        try:
            return self.modified or any(self._view.changes(dict(super().items())))
        except NotStorable:
            return True  # which save reports

    def load(self) -> Dict[str, Any]:
        """Read the session, in place of what was here, and return its values."""
        session = client().load(self.session_key) if self.session_key else None
        super().clear()
        self.loaded, self.modified, self._expiry_set, self._cleared = True, False, False, False
        if session is None:
            self.session_key, self.stored, self._view, self._logged_in = (
                None,
                None,
                View({}),
                False,
            )
            return {}
        super().update(session["values"])
        self._see(session)
        # The server knows who has logged in: what is stored of another log-in does not count.
        if self._logged_in and str(super().__getitem__(USER_KEY)) != session["user"]:
            for key in LOGIN_KEYS:
                super().pop(key, None)
            self._logged_in = False
        return dict(super().items())

    def save(self) -> None:
        """Store what was changed.

        :raises waddle_client.Gone: if the session has ended, or has another key by now.
        :raises waddle_client.NotStorable: if a value is not JSON. Nothing is stored then.
        """
        self._ready()
        changed, removed = self._view.changes(dict(super().items()))
        key = self.session_key or ""
        user = super().get(USER_KEY)
        bound = self.stored["user"] if self.stored else ""
        if key and user is None and bound and (self._logged_in or self._cleared):
            # A session cannot leave its user: it ends, and another one goes on.
            if not client().destroy(key):
                raise Gone("the session has ended")
            key, bound, changed, removed = "", "", dict(super().items()), []
        changes: Dict[str, Any] = {"set": changed, "delete": removed, "modified": self.modified}
        if self._expiry_set:
            changes["expiry"] = (
                {"expires": format_time(self._expiry)} if self._expiry else {"reset": True}
            )
        if user is not None and str(user) != bound:
            changes["log_in"] = {"user": str(user)}
        self._see(client().commit(key, **changes))
        self.modified, self._expiry_set = False, False

    async def async_save(self) -> None:
        """Do what :meth:`save` does, while the event loop goes on."""
        await asyncio.to_thread(self.save)

    def exists(self, session_key: Optional[str] = None) -> bool:
        """Report whether there is a session with a key, by default with this one's. It counts as
        no access.
        """
        key = session_key or self.session_key
        return bool(key) and client().load(str(key), touch=False) is not None

    def delete(self, session_key: Optional[str] = None) -> None:
        """End the session with a key, by default this one, which is empty then."""
        key = session_key or self.session_key
        if key:
            client().destroy(key)
        if key == self.session_key:
            self.session_key = None
            self.load()

    def assign_new_session_key(self) -> str:
        """Give the session a new key at once and return it. Values that were changed are stored
        when it is saved.
        """
        self._ready()
        if self.session_key:
            session = client().renew(self.session_key)
            self.session_key, self.stored = session["id"], _about(session)
            self.modified = True
        else:
            self.save()
        assert self.session_key is not None
        return self.session_key

    @staticmethod
    def generate_session_id() -> str:
        """Raise an error: keys are made by the server."""
        raise NotImplementedError("keys are made by the server: use assign_new_session_key")

    # When it ends.

    def set_expiry(self, expiry: Expiry = None) -> None:
        """Give the session its own end: seconds from now, a timedelta, or a time (UTC if naive).

        None gives it back the end that the server's settings say.
        """
        self._ready()
        if isinstance(expiry, bool) or not isinstance(
            expiry, (int, float, datetime, timedelta, type(None))
        ):
            raise TypeError(
                f"the expiry is of type {type(expiry).__name__}: must be None, a number, a "
                "datetime or a timedelta"
            )
        if isinstance(expiry, (int, float)):
            expiry = timedelta(seconds=expiry)
        if isinstance(expiry, timedelta):
            expiry = datetime.now(timezone.utc) + expiry
        if expiry is not None and expiry.tzinfo is None:
            expiry = expiry.replace(tzinfo=timezone.utc)
        self._expiry, self._expiry_set, self.modified = expiry, True, True

    def get_expiry_age(self) -> float:
        """Return the project's ``SESSION_COOKIE_AGE``, in seconds."""
        return setting("SESSION_COOKIE_AGE", 7 * 24 * 3600)

    def get_expiry_date(self) -> datetime:
        """Return when the session ends, as Duck has times: in UTC and without a zone."""
        self._ready()
        if self._expiry_set and self._expiry is not None:
            end = self._expiry
        elif not self._expiry_set and self.stored is not None:
            end = parse_time(self.stored.get("cookie_until") or self.stored["expires"])
        else:
            end = datetime.now(timezone.utc) + timedelta(seconds=self.get_expiry_age())
        return end.astimezone(timezone.utc).replace(tzinfo=None)

    def session_expired(self) -> bool:
        """Report whether the session has ended by its own expiry."""
        return datetime.now(timezone.utc).replace(tzinfo=None) >= self.get_expiry_date()

    # A dict that is loaded first.

    def _ready(self) -> None:
        if not self.loaded:
            self.load()

    def _see(self, session: Mapping[str, Any]) -> None:
        self.session_key, self.stored = session["id"], _about(session)
        values = dict(super().items())
        self._view, self._logged_in, self._cleared = View(values), USER_KEY in values, False

    def __getitem__(self, key: str) -> Any:
        self._ready()
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._ready()
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self._ready()
        return super().__iter__()

    def __len__(self) -> int:
        self._ready()
        return super().__len__()

    def __eq__(self, other: object) -> bool:
        self._ready()
        return super().__eq__(other)

    def __repr__(self) -> str:
        self._ready()
        return f"<{type(self).__name__} {super().__repr__()}>"

    def get(self, key: str, default: Any = None) -> Any:
        self._ready()
        return super().get(key, default)

    def keys(self) -> Any:
        self._ready()
        return super().keys()

    def values(self) -> Any:
        self._ready()
        return super().values()

    def items(self) -> Any:
        self._ready()
        return super().items()

    def copy(self) -> Dict[str, Any]:
        self._ready()
        return dict(super().items())

    def __setitem__(self, key: str, value: Any) -> None:
        self._ready()
        super().__setitem__(key, value)
        self.modified = True

    def __delitem__(self, key: str) -> None:
        self._ready()
        super().__delitem__(key)
        self.modified = True

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return super().__getitem__(key)

    def update(self, *values: Any, **more: Any) -> None:
        self._ready()
        super().update(*values, **more)
        self.modified = True

    def __ior__(self, values: Any) -> "SessionStore":  # type: ignore[override,misc]
        self.update(values)
        return self

    def pop(self, key: str, default: Any = _MISSING) -> Any:
        if key in self:
            self.modified = True
        return super().pop(key) if default is _MISSING else super().pop(key, default)

    def popitem(self) -> Any:
        self._ready()
        item = super().popitem()
        self.modified = True
        return item

    def clear(self) -> None:
        """Remove all values. Who is logged in, here or by a program in Go, is logged out when it
        is saved.
        """
        self._ready()
        super().clear()
        self.modified = self._cleared = True


def _about(session: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: about for name, about in session.items() if name != "values"}
