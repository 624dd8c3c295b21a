"""A client of ``waddle serve``, for programs in Python.

It needs the standard library only. :class:`Client` has a method for each call,
:class:`View` finds out what a program changed in a session, and the errors are
kinds of :class:`WaddleError`.
"""

from .client import Client
from .errors import Conflict, Gone, NotStorable, Refused, Unavailable, WaddleError
from .times import age, parse_time
from .view import View

__all__ = [
    "Client",
    "Conflict",
    "Gone",
    "NotStorable",
    "Refused",
    "Unavailable",
    "View",
    "WaddleError",
    "age",
    "parse_time",
]
