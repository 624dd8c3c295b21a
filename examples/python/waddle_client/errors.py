"""The ways in which a call can fail."""

from __future__ import annotations

from typing import Any, Mapping, Optional


class WaddleError(Exception):
    """Is raised when a call failed.

    ``code`` is the server's name of the error, or empty if no server answered.
    ``retry_after`` is the number of seconds after which the same call may
    succeed, or None if the server did not say.
    """

    def __init__(self, message: str, code: str = "", retry_after: Optional[float] = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


class Unavailable(WaddleError):
    """Is raised when the sessions cannot be reached now.

    It never means that a session is not there. Tell the visitor to come back,
    not to log in again.
    """


class Gone(WaddleError):
    """Is raised when a session that should change has ended, or has another id by now."""


class Conflict(WaddleError):
    """Is raised when a commit required a revision that is not the newest.

    ``session`` is the newest session, as in the answer to a load.
    """

    def __init__(
        self, message: str, code: str = "", session: Optional[Mapping[str, Any]] = None
    ) -> None:
        super().__init__(message, code)
        self.session = session


class Refused(WaddleError):
    """Is raised when the server does not accept a call: it is wrong, too large or not allowed."""


class NotStorable(WaddleError, TypeError):
    """Is raised when a value is not JSON, or would not come back as it was. The message names its
    key.
    """
