"""Django's settings for its own tests, with this engine."""

import os

from test_sqlite import *  # noqa: F401,F403

SESSION_ENGINE = "waddle_sessions"
WADDLE_SOCKET = os.environ["WADDLE_SOCKET"]
