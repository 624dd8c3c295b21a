"""Times as the server writes them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional


def parse_time(text: str) -> datetime:
    """Return the time that an RFC 3339 text of the server stands for, in UTC."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)


def format_time(time: datetime) -> str:
    """Return a time as RFC 3339 in UTC, with milliseconds.

    A time without a zone is local time, as everywhere in Python.
    """
    text = time.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def age(expires: str, now: Optional[datetime] = None) -> float:
    """Return how many seconds are left until a session ends, less than 0 if it has ended."""
    return (parse_time(expires) - (now or datetime.now(timezone.utc))).total_seconds()
