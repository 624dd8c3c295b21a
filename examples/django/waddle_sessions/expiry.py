"""When a session ends, in Django's terms and in the server's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Dict, Mapping, Optional, Union

from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone
from waddle_client import age
from waddle_client.times import format_time

KEY = "_session_expiry"

Expiry = Union[None, int, float, datetime, timedelta]


class ExpiryMethods(SessionBase):
    """The methods of a session that are about its end.

    Django keeps a session's own expiry as one of its values. It is sent to the
    server as well, whenever it changes: the server ends the session, and
    programs in Go send cookies that last as long.
    """

    stored: Optional[Mapping[str, Any]]

    def set_expiry(self, value: Expiry) -> None:
        """Give the session its own end: see Django's documentation. A time is kept as text, as
        JSON has none.
        """
        if isinstance(value, timedelta):
            value = timezone.now() + value
        super().set_expiry(value.isoformat() if isinstance(value, datetime) else value)

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Return the number of seconds until the session ends.

        It is ``SESSION_COOKIE_AGE`` unless the session has its own end, or a
        program in Go gave it a later one.
        """
        own = self._own_expiry(kwargs)
        seconds = super().get_expiry_age(**{**kwargs, "expiry": own})
        if not own and not kwargs and self.stored is not None:
            return max(
                seconds, int(age(self.stored.get("cookie_until") or self.stored["expires"]))
            )
        return seconds

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """Return the time at which the session ends."""
        return super().get_expiry_date(**{**kwargs, "expiry": self._own_expiry(kwargs)})

    def get_expire_at_browser_close(self) -> bool:
        """Report whether the browser forgets the session when it closes, by Django's expiry or
        what a program in Go set.
        """
        if (
            self.get(KEY) is None
            and self.stored is not None
            and self.stored["persistence"] != "default"
        ):
            return self.stored["persistence"] == "browser"
        return super().get_expire_at_browser_close()

    def _has_passed(self) -> bool:
        """Report whether the session's own expiry ends it at once."""
        own = self._own_expiry({})
        return bool(own) and self.get_expiry_age() <= 0

    def _own_expiry(self, kwargs: Mapping[str, Any]) -> Any:
        own = kwargs["expiry"] if "expiry" in kwargs else self.get(KEY)
        return datetime.fromisoformat(own) if isinstance(own, str) else own


def for_server(own: Union[None, int, float, str]) -> Dict[str, Any]:
    """Return an expiry that Django keeps, and that has not passed, as the server's API has it."""
    if own is None:
        return {"reset": True}
    if isinstance(own, str):
        return {"expires": format_time(datetime.fromisoformat(own)), "persistence": "persist"}
    if own == 0:
        return {"reset": True, "persistence": "browser"}
    return {"lifetime_ms": int(own * 1000), "persistence": "persist"}
