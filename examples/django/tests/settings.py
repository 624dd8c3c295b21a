"""Settings for the tests: the shop's, with users in memory."""

from shop.settings import *  # noqa: F401,F403

INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.messages"]  # noqa: F405
SECRET_KEY = "for tests only"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
WADDLE_SOCKET = "/nonexistent/waddle.sock"  # each test starts a server of its own
