"""Sessions of the web framework Duck in a Waddle store, shared with programs in Go.

In the settings of a Duck project::

    SESSION_ENGINE = "waddle_duck"
    SESSION_STORAGE = "waddle_duck.SessionStorage"
    WADDLE_SOCKET = "/run/waddle/sessions.sock"
"""

from .engine import SessionStore
from .storage import SessionStorage

__all__ = ["SessionStorage", "SessionStore"]
