"""The session engine."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.contrib.auth import SESSION_KEY as USER_KEY
from django.contrib.sessions.backends.base import UpdateError
from waddle_client import Client, Gone, View

from . import conf, expiry
from .asynchronous import AsyncMethods

LOGIN_KEYS = (USER_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY)

Values = Dict[str, Any]


class SessionStore(AsyncMethods, expiry.ExpiryMethods):
    """A session of ``waddle serve``.

    It is saved when Django saves sessions. Only keys whose values differ from
    what was loaded are sent, so requests that change different keys at once,
    here and in programs in Go, both keep their change.

    Keys are made by the server. One that it does not know is never adopted:
    the session then is a new one.
    """

    def __init__(self, session_key: Optional[str] = None) -> None:
        super().__init__(session_key)
        # The session as the server last returned it, without its values.
        self.stored: Optional[Mapping[str, Any]] = None
        # The note of this log-in in lists of the user's sessions, such as
        # {"device": "Firefox on Linux"}. It counts if it is set before the log-in is saved.
        self.note: Dict[str, str] = {}
        self._view = View({})
        self._cleared = False
        self._logged_in = False  # by what Django has stored, when it was loaded or saved

    @property
    def public_id(self) -> Optional[str]:
        """The name of this session in its user's list, which is no secret. None before a log-in is
        saved.
        """
        self._get_session()
        return self.stored["public_id"] or None if self.stored else None

    @classmethod
    def user_name(cls, auth_user_id: Any) -> str:
        """Return what programs in Go get as the session's user: by default the primary key, as
        text.
        """
        return str(auth_user_id)

    def load(self) -> Values:
        session = self._client().load(self.session_key) if self.session_key else None
        if session is None:
            self._session_key = None
            self._forget()
            return {}
        values: Values = session["values"]
        self._see(session, values)
        # The server knows who has logged in. If that is somebody else by now, what
        # Django has stored of an earlier log-in does not count.
        if self._logged_in and self.user_name(values[USER_KEY]) != session["user"]:
            self._drop_login(values)
        return values

    def exists(self, session_key: Optional[str]) -> bool:
        return bool(session_key) and self._client().load(str(session_key), touch=False) is not None

    def create(self) -> None:
        """Begin a session with a new key and this one's values, and store it."""
        self._commit("", self._get_session(no_load=True))
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Store the changes, in a new session if ``must_create`` is True or there is none yet.

        :raises UpdateError: if the session has ended, or has another key by now.
        :raises waddle_client.NotStorable: if a value is not JSON. Nothing is stored then.
        """
        if must_create or self.session_key is None:
            return self.create()
        values = self._get_session()
        if self.session_key is None:  # the session is not there
            raise UpdateError
        try:
            if self._leaves_user(values):
                self._move(values)
            else:
                self._commit(self.session_key, values)
        except Gone as error:
            raise UpdateError from error

    def delete(self, session_key: Optional[str] = None) -> None:
        key = self.session_key if session_key is None else session_key
        if key:
            self._client().destroy(key)

    def clear(self) -> None:
        """Remove all values, including those that others add until it is saved."""
        super().clear()
        self._view, self._cleared = View({}), True

    def flush(self) -> None:
        super().flush()
        self._forget()

    def cycle_key(self) -> None:
        """Give the session a new key at once. Changes of values are stored when it is saved.

        If the session has ended, a new one begins with its values, but nobody
        is logged in there.
        """
        values = self._session
        if self.session_key is None:
            return self.create()
        try:
            session = self._client().renew(self.session_key)
        except Gone:
            self._drop_login(values)
            return self.create()
        self._session_key, self.stored = session["id"], _about(session)
        self.modified = True

    @classmethod
    def clear_expired(cls) -> None:
        """Do nothing: the store removes sessions that have expired."""

    def _commit(self, key: str, values: Values) -> None:
        """Store the changes that lead to these values, and take over what the server answers."""
        if not key:
            self._forget()
        changed, removed = self._view.changes(values)
        changes: Dict[str, Any] = {"set": changed, "delete": removed}
        if self._cleared:
            changes["clear"] = True
        if expiry.KEY in changed or key and (self._cleared or expiry.KEY in removed):
            changes["expiry"] = expiry.for_server(values.get(expiry.KEY))
        if key:
            # Django saves without a change in order to prolong a session.
            changes["modified"] = True
        user = values.get(USER_KEY)
        if user is not None and (
            self.stored is None or self.user_name(user) != self.stored["user"]
        ):
            changes["log_in"] = {"user": self.user_name(user), "note": self.note}
        if "expiry" in changes and self._has_passed():
            return self._end(key)
        self._see(self._client().commit(key, **changes), values)

    def _leaves_user(self, values: Values) -> bool:
        """Report whether nobody is logged in any more, but the stored session has a user."""
        if USER_KEY in values:
            return False
        if self._cleared and self.stored is None:  # cleared without being loaded
            session = self._client().load(self.session_key, touch=False)
            if session is None:
                raise Gone("the session has ended")
            self.stored = _about(session)
        return bool(self.stored and self.stored["user"]) and (self._logged_in or self._cleared)

    def _move(self, values: Values) -> None:
        """End the user's session and continue in a new one: a session cannot leave its user."""
        self._view.changes(values)  # a value that cannot be stored must not end the session
        if not self._client().destroy(self.session_key):
            raise Gone("the session has ended")
        self._commit("", values)

    def _end(self, key: str) -> None:
        """End the session in place of storing it with an end in the past, as Django allows."""
        if key and not self._client().destroy(key):
            raise Gone("the session has ended")
        self._session_key = None
        self._forget()

    def _see(self, session: Mapping[str, Any], values: Values) -> None:
        """Take these values as stored in this session."""
        self._session_key, self.stored = session["id"], _about(session)
        self._view, self._cleared = View(values), False
        self._logged_in = USER_KEY in values

    def _forget(self) -> None:
        """Take nothing as stored."""
        self.stored, self._view, self._cleared, self._logged_in = None, View({}), False, False

    def _drop_login(self, values: Values) -> None:
        for key in LOGIN_KEYS:
            values.pop(key, None)
        self._logged_in = False

    @staticmethod
    def _client() -> Client:
        return conf.client()


def _about(session: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: about for name, about in session.items() if name != "values"}
