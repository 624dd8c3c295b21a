"""What "manage.py check" says of settings that do not go together."""

from typing import Any, Dict, List

from django.core.checks import run_checks
from django.test import override_settings
from waddle_sessions.checks import settings_agree

from .base import ServerTestCase


class DefaultsTest(ServerTestCase):
    def found(self, **settings: Any) -> List[str]:
        with override_settings(**settings):
            return [message.id or "" for message in settings_agree()]

    def test_the_shop_agrees_with_the_defaults_of_waddle_serve(self) -> None:
        self.assertEqual(self.found(), [])
        self.assertNotIn("waddle", "".join(message.id or "" for message in run_checks()))

    def test_what_differs(self) -> None:
        cases: List[Any] = [
            ({"SESSION_COOKIE_NAME": "sessionid"}, ["waddle.E002"]),
            ({"SESSION_COOKIE_DOMAIN": "example.com"}, ["waddle.E002"]),
            ({"SESSION_COOKIE_PATH": "/shop/"}, ["waddle.E002"]),
            ({"SESSION_COOKIE_SECURE": True}, []),  # waddle serve's "auto" allows both
            ({"SESSION_COOKIE_HTTPONLY": False}, ["waddle.W002"]),
            ({"SESSION_COOKIE_SAMESITE": "Strict"}, ["waddle.W002"]),
            ({"SESSION_COOKIE_SAMESITE": None}, []),
            ({"SESSION_EXPIRE_AT_BROWSER_CLOSE": True}, ["waddle.W002"]),
            ({"SESSION_COOKIE_AGE": 60}, ["waddle.W003"]),
            (
                {"SESSION_SERIALIZER": "django.contrib.sessions.serializers.PickleSerializer"},
                ["waddle.W004"],
            ),
            (
                {
                    "SESSION_ENGINE": "django.contrib.sessions.backends.db",
                    "SESSION_COOKIE_NAME": "x",
                },
                [],
            ),
            ({"WADDLE_SOCKET": "/nonexistent/waddle.sock"}, ["waddle.W001"]),
            ({"WADDLE_SOCKET": ""}, ["waddle.E001"]),
            (
                {"SESSION_COOKIE_NAME": "a", "SESSION_COOKIE_AGE": 1},
                ["waddle.E002", "waddle.W003"],
            ),
        ]
        for settings, found in cases:
            with self.subTest(**settings):
                self.assertEqual(self.found(**settings), found)

    def test_a_message_names_both_settings(self) -> None:
        with override_settings(SESSION_COOKIE_NAME="sessionid"):
            (message,) = settings_agree()
        self.assertEqual(
            message.msg,
            "SESSION_COOKIE_NAME is 'sessionid' and SESSION_COOKIE_NAME of waddle serve is "
            "'session_id': must be equal",
        )
        self.assertIn("two cookies", message.hint or "")
        self.assertTrue(message.is_serious())


class OtherSettingsTest(ServerTestCase):
    environment: Dict[str, str] = {
        "SESSION_COOKIE_NAME": "sid",
        "SESSION_COOKIE_DOMAIN": "example.com",
        "SESSION_COOKIE_PATH": "/shop",
        "SESSION_COOKIE_SECURE": "true",
        "SESSION_COOKIE_HTTPONLY": "false",
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_EXPIRE_AT_BROWSER_CLOSE": "true",
        "SESSION_DURATION": "1h",
    }

    def test_all_settings_agree(self) -> None:
        same = dict(
            SESSION_COOKIE_NAME="sid",
            SESSION_COOKIE_DOMAIN=".example.com",
            SESSION_COOKIE_PATH="/shop",
            SESSION_COOKIE_SECURE=True,
            SESSION_COOKIE_HTTPONLY=False,
            SESSION_COOKIE_SAMESITE="Strict",
            SESSION_EXPIRE_AT_BROWSER_CLOSE=True,
            SESSION_COOKIE_AGE=3600,
        )
        with override_settings(**same):
            self.assertEqual(settings_agree(), [])
        for name, value in [
            ("SESSION_COOKIE_SECURE", False),
            ("SESSION_COOKIE_DOMAIN", None),
            ("SESSION_COOKIE_HTTPONLY", True),
        ]:
            with self.subTest(name), override_settings(**{**same, name: value}):
                self.assertEqual(len(settings_agree()), 1)


class PartitionedTest(ServerTestCase):
    environment = {
        "SESSION_COOKIE_PARTITIONED": "true",
        "SESSION_COOKIE_SECURE": "true",
        "SESSION_COOKIE_SAMESITE": "None",
    }

    def test_cookies_that_django_cannot_set(self) -> None:
        with override_settings(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="None"):
            self.assertEqual([message.id for message in settings_agree()], ["waddle.E003"])
