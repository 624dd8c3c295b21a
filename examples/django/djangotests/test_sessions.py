"""The tests of django.contrib.sessions, with the engine exchanged."""

import inspect
import string
import unittest
from typing import Any, Dict, Iterator, Tuple
from unittest import mock

from django.core import management
from django.test import SimpleTestCase, override_settings
from sessions_tests import tests as theirs
from waddle_sessions import SessionStore

# Each test that other engines have beside the common ones, and why it is not run
# here. All other tests are.
NOT_APPLICABLE = {
    "test_session_str": "about the rows of the table in which databases keep sessions",
    "test_session_get_decoded": "about the rows of that table",
    "test_sessionmanager_save": "about the manager of that table",
    "test_clearsessions_command": "counts rows or files: see test_clearsessions",
    "test_aclear_expired": "counts rows: see test_clearsessions",
    "test_extra_session_field": "about a column of that table",
    "test_exists_searches_cache_first": "about Django's caches: this engine uses none",
    "test_non_default_cache": "about Django's caches",
    "test_cache_set_failure_non_fatal": "about Django's caches",
    "test_cache_async_set_failure_non_fatal": "about Django's caches",
    "test_default_cache": "about Django's caches",
    "test_create_and_save": "looks into Django's caches: see the test of that name here",
    "test_configuration_check": "about the folder of files",
    "test_invalid_key_backslash": "about the names of files: keys are no part of a path here",
    "test_invalid_key_forwardslash": "about the names of files",
    "test_unpickling_exception": "about data that visitors bring: they bring a key only",
}


class WaddleSessionTests(theirs.SessionTestsMixin, SimpleTestCase):
    """Every test that is common to engines."""

    backend = SessionStore

    def test_load_overlong_key(self) -> None:
        self.session._session_key = (string.ascii_letters + string.digits) * 20
        self.assertEqual(self.session.load(), {})

    def test_create_and_save(self) -> None:
        self.session.create()
        self.session.save()
        self.assertIs(self.session.exists(self.session.session_key), True)

    async def test_create_and_save_async(self) -> None:
        await self.session.acreate()
        await self.session.asave()
        self.assertIs(await self.session.aexists(self.session.session_key), True)

    @override_settings(SESSION_ENGINE="waddle_sessions")
    def test_clearsessions(self) -> None:
        self.session["foo"] = "bar"
        self.session.save()
        management.call_command("clearsessions")
        self.assertIs(self.session.exists(self.session.session_key), True)


@override_settings(USE_TZ=True)
class WaddleSessionWithTimeZoneTests(WaddleSessionTests):
    """The same with times that have a zone."""


class StoredSession:
    """Stands for Django's model of a row, which one of the tests of the middleware uses to look
    behind the engine.
    """

    class objects:
        @staticmethod
        def get(session_key: str) -> "StoredSession":
            return StoredSession(session_key)

        aget = None

    def __init__(self, session_key: str) -> None:
        self.session_key = session_key

    def get_decoded(self) -> Dict[str, Any]:
        assert SessionStore().exists(self.session_key)
        return SessionStore(self.session_key).load()


class WaddleMiddlewareTests(theirs.SessionMiddlewareTests):
    """The tests of the middleware."""

    def setUp(self) -> None:
        super().setUp()
        for name, ours in [("DatabaseSession", SessionStore), ("Session", StoredSession)]:
            patch = mock.patch.object(theirs, name, ours)
            patch.start()
            self.addCleanup(patch.stop)


class NoneIsForgottenTest(unittest.TestCase):
    """Whatever a version of Django adds is run, or listed above with a reason."""

    def classes(self) -> Iterator[Tuple[str, type]]:
        for name, cls in inspect.getmembers(theirs, inspect.isclass):
            ours = cls.__module__ == theirs.__name__ and issubclass(cls, unittest.TestCase)
            if ours and name != "SessionBaseTests":  # about what engines are derived from
                yield name, cls

    def test_each_test_is_run_or_listed(self) -> None:
        run = set(unittest.defaultTestLoader.getTestCaseNames(WaddleSessionTests))
        seen, missing = set(), []
        for class_name, cls in self.classes():
            names = unittest.defaultTestLoader.getTestCaseNames(cls)
            if issubclass(cls, theirs.SessionTestsMixin):
                seen.update(names)
                known = run | set(NOT_APPLICABLE)
            else:
                known = set(names) if any(issubclass(ours, cls) for ours in OURS) else set()
            missing += [f"{class_name}.{name}" for name in names if name not in known]
        self.assertEqual(missing, [], "these tests are neither run nor listed")
        # Later versions of Django have these.
        later = ("test_cache_", "test_aclear_")
        listed = {name for name in NOT_APPLICABLE if not name.startswith(later)}
        self.assertEqual(listed - seen, set(), "these tests are listed and do not exist")


# The last one has an engine of its own, and is run as it is.
OURS = (WaddleSessionTests, WaddleMiddlewareTests, theirs.ClearSessionsCommandTests)
