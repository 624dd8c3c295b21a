"""Django sessions in a Waddle store, shared with programs in Go.

``SESSION_ENGINE = "waddle_sessions"`` makes Django use :class:`SessionStore`.
With ``"waddle_sessions"`` in ``INSTALLED_APPS``, ``manage.py check`` compares
Django's settings with those of the server.
"""

from .store import SessionStore

__all__ = ["SessionStore"]
