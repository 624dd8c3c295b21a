"""The engine and the storage, as Duck calls them."""

import asyncio
import time
import unittest
from datetime import date, datetime, timedelta, timezone
from typing import Any, Dict, Optional, Tuple
from unittest import mock

from waddle_client import Client, Gone, NotStorable, Unavailable, age
from waddle_client.testing import Server
from waddle_duck import SessionStorage, SessionStore, storage

from . import SETTINGS


class Browser:
    """Goes through a request as Duck's session middleware does, and keeps the cookie."""

    def __init__(self) -> None:
        self.cookie: Optional[str] = None

    def begin(self) -> SessionStore:
        session = SessionStore(None)
        if self.cookie is not None:
            session.session_key = self.cookie
        return session

    def end(self, session: SessionStore) -> Optional[Tuple[str, datetime]]:
        """Save the session, and return the cookie that goes out, if one does."""
        if not session.needs_update():
            return None
        expired = session.session_expired()
        if expired:
            session.set_expiry(None)
        session.save()
        if self.cookie == session.session_key and not expired:
            return None
        assert session.session_key is not None
        self.cookie = session.session_key
        return session.session_key, session.get_expiry_date()


class EngineTest(unittest.TestCase):
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server().start()
        cls.addClassCleanup(cls.server.close)

    def setUp(self) -> None:
        SETTINGS.clear()
        SETTINGS.update(WADDLE_SOCKET=self.server.socket, SESSION_COOKIE_AGE=604800)
        storage.client.cache_clear()
        self.addCleanup(storage.client.cache_clear)
        self.addCleanup(storage.client().close)
        # Stands for a program in Go: it knows the sessions and nothing of Duck.
        self.other = Client(self.server.address)
        self.addCleanup(self.other.close)
        self.browser = Browser()

    def stored(self, key: Optional[str]) -> Dict[str, Any]:
        session = self.other.load(key or "")
        assert session is not None
        return session

    def visit(self, **values: Any) -> None:
        session = self.browser.begin()
        session.update(values)
        self.browser.end(session)

    def test_who_only_looks_has_no_session(self) -> None:
        session = self.browser.begin()
        self.assertIsNone(session.get("a"))
        self.assertIsNone(self.browser.end(session))
        self.assertIsNone(session.session_key)

    def test_it_is_loaded_when_it_is_first_used(self) -> None:
        self.visit(a=1, b=2)
        for name, use, wanted in [
            ("item", lambda s: s["a"], 1),
            ("get", lambda s: s.get("b"), 2),
            ("in", lambda s: "a" in s, True),
            ("len", len, 2),
            ("bool", bool, True),
            ("keys", lambda s: sorted(s.keys()), ["a", "b"]),
            ("iteration", sorted, ["a", "b"]),
            ("values", lambda s: sorted(s.values()), [1, 2]),
            ("items", lambda s: sorted(s.items()), [("a", 1), ("b", 2)]),
            ("a dict", dict, {"a": 1, "b": 2}),
            ("unpacked", lambda s: {**s}, {"a": 1, "b": 2}),
            ("equality", lambda s: s == {"a": 1, "b": 2}, True),
            ("copy", lambda s: s.copy(), {"a": 1, "b": 2}),
            ("repr", repr, "<SessionStore {'a': 1, 'b': 2}>"),
            ("setdefault", lambda s: s.setdefault("a", 5), 1),
            ("pop without", lambda s: s.pop("c", 3), 3),
        ]:
            with self.subTest(name):
                session = self.browser.begin()
                self.assertFalse(session.loaded)
                self.assertFalse(session.needs_update())
                self.assertEqual(use(session), wanted)
                self.assertTrue(session.loaded)
                self.assertFalse(session.needs_update())

    def test_changes(self) -> None:
        for name, change, wanted in [
            ("set", lambda s: s.__setitem__("c", 3), {"a": 1, "b": [2], "c": 3}),
            ("delete", lambda s: s.__delitem__("a"), {"b": [2]}),
            ("pop", lambda s: s.pop("a"), {"b": [2]}),
            ("pop of what is false", lambda s: (s.update(n=0), s.pop("a")), {"b": [2], "n": 0}),
            (
                "setdefault",
                lambda s: s.setdefault("c", []).append(4),
                {"a": 1, "b": [2], "c": [4]},
            ),
            ("update", lambda s: s.update({"a": 5}, d=6), {"a": 5, "b": [2], "d": 6}),
            ("|=", lambda s: s.__ior__({"a": 5}), {"a": 5, "b": [2]}),
            ("clear", lambda s: s.clear(), {}),
            ("inside a value", lambda s: s["b"].append(3), {"a": 1, "b": [2, 3]}),
        ]:
            with self.subTest(name):
                self.browser = Browser()
                self.visit(a=1, b=[2])
                key = self.browser.cookie
                session = self.browser.begin()
                change(session)
                self.assertTrue(session.needs_update())
                self.assertIsNone(self.browser.end(session))  # the browser has the cookie
                self.assertFalse(session.needs_update())
                self.assertEqual(self.stored(key)["values"], wanted)

    def test_changes_at_once_are_both_kept(self) -> None:
        self.visit(a=0)
        one, two = self.browser.begin(), self.browser.begin()
        one["one"], two["two"] = 1, 2
        self.browser.end(one)
        self.other.commit(self.browser.cookie or "", set={"three": 3})
        self.browser.end(two)
        self.assertEqual(
            self.stored(self.browser.cookie)["values"], {"a": 0, "one": 1, "two": 2, "three": 3}
        )

    def test_keys_are_never_adopted(self) -> None:
        self.browser.cookie = "A" * 43
        session = self.browser.begin()
        session["a"] = 1
        cookie = self.browser.end(session)
        assert cookie is not None
        self.assertNotEqual(cookie[0], "A" * 43)
        self.assertIsNone(self.other.load("A" * 43))

    def test_log_in_and_log_out(self) -> None:
        self.visit(cart=["figs"])
        visitor = self.browser.cookie
        session = self.browser.begin()
        session["_auth_user_id"], session["_auth_backend"] = (
            "7",
            "session",
        )  # as duck.contrib.auth does
        self.assertIsNotNone(self.browser.end(session))
        user = self.browser.cookie
        self.assertNotEqual(user, visitor)
        self.assertIsNone(self.other.load(visitor or ""))
        self.assertEqual(self.stored(user)["user"], "7")
        self.assertEqual(self.browser.begin()["cart"], ["figs"])

        session = self.browser.begin()
        session.clear()  # likewise
        self.assertIsNotNone(self.browser.end(session))
        self.assertIsNone(self.other.load(user or ""))
        self.assertEqual(
            (self.stored(self.browser.cookie)["user"], self.stored(self.browser.cookie)["values"]),
            ("", {}),
        )

    def test_a_log_in_of_another_program_is_not_mistaken_for_ours(self) -> None:
        self.visit(_auth_user_id="7", _auth_backend="session", cart=1)
        self.browser.cookie = self.other.commit(self.browser.cookie or "", log_in={"user": "8"})[
            "id"
        ]
        self.assertEqual(dict(self.browser.begin()), {"cart": 1})

    def test_log_out_of_a_log_in_of_another_program(self) -> None:
        for name, first in [("by Go alone", {}), ("by Go as somebody else", {"_auth_user_id": "7"})]:
            with self.subTest(name):
                self.browser = Browser()
                self.visit(cart=1, **first)
                user = self.other.commit(self.browser.cookie or "", log_in={"user": "8"})["id"]
                self.browser.cookie = user
                session = self.browser.begin()
                session.clear()
                session["message"] = "bye"
                self.assertIsNotNone(self.browser.end(session))
                self.assertIsNone(self.other.load(user))
                left = self.stored(self.browser.cookie)
                self.assertEqual((left["user"], left["values"]), ("", {"message": "bye"}))

    def test_a_session_that_ended_is_not_brought_back(self) -> None:
        for change in (lambda s: s.__setitem__("a", 1), lambda s: s.clear()):
            self.visit(_auth_user_id="7")
            session = self.browser.begin()
            session.get("a")
            self.other.destroy(self.browser.cookie or "")
            change(session)
            with self.assertRaises(Gone):
                self.browser.end(session)
            self.assertEqual(dict(self.browser.begin()), {})

    def test_expiry(self) -> None:
        end = datetime.now(timezone.utc) + timedelta(hours=3)
        for value, seconds in [
            (60, 60),
            (timedelta(minutes=5), 300),
            (end, 10800),
            (end.replace(tzinfo=None), 10800),
            (None, 604800),
        ]:
            with self.subTest(value=value):
                session = SessionStore(self.browser.cookie)
                session.set_expiry(value)
                self.browser.end(session)
                self.assertAlmostEqual(
                    age(self.stored(self.browser.cookie)["expires"]), seconds, delta=30
                )
                left = self.browser.begin().get_expiry_date() - datetime.now(timezone.utc).replace(
                    tzinfo=None
                )
                self.assertAlmostEqual(left.total_seconds(), seconds, delta=30)
        for wrong in ("soon", True):
            with self.assertRaises(TypeError):
                self.browser.begin().set_expiry(wrong)  # type: ignore[arg-type]

    def test_a_save_without_changes_prolongs_if_it_is_modified(self) -> None:
        begun = self.other.commit(set={"a": 1}, expiry={"lifetime_ms": 60_000})
        time.sleep(0.01)
        session = SessionStore(begun["id"])
        session.get("a")
        session.save()
        self.assertEqual(self.stored(begun["id"])["expires"], begun["expires"])
        session["a"] = 1
        session.save()
        self.assertGreater(self.stored(begun["id"])["expires"], begun["expires"])

    def test_a_cookie_lasts_as_long_as_its_session(self) -> None:
        session = self.browser.begin()
        session["a"] = 1
        cookie = self.browser.end(session)
        assert cookie is not None
        left = cookie[1] - datetime.now(timezone.utc).replace(tzinfo=None)
        self.assertAlmostEqual(left.total_seconds(), 604800, delta=30)

    def test_keys_can_be_renewed(self) -> None:
        self.visit(a=1)
        session = self.browser.begin()
        session["b"] = 2
        key = session.assign_new_session_key()
        self.assertNotEqual(key, self.browser.cookie)
        self.assertIsNone(self.other.load(self.browser.cookie or ""))
        self.browser.end(session)
        self.assertEqual(
            (self.browser.cookie, self.stored(key)["values"]), (key, {"a": 1, "b": 2})
        )
        self.assertTrue(session.exists())
        self.assertFalse(session.exists("A" * 43))
        session.delete()
        self.assertIsNone(self.other.load(key))
        self.assertEqual((session.session_key, dict(session)), (None, {}))
        new = SessionStore()
        self.assertTrue(new.exists(new.assign_new_session_key()))
        with self.assertRaises(NotImplementedError):
            SessionStore.generate_session_id()

    def test_what_json_lacks_is_named(self) -> None:
        self.visit(a=1)
        session = self.browser.begin()
        session["day"] = date(2026, 12, 24)
        with self.assertRaisesRegex(NotStorable, "'day' is of type date"):
            self.browser.end(session)
        self.assertEqual(self.stored(self.browser.cookie)["values"], {"a": 1})

    def test_async_save(self) -> None:
        session = self.browser.begin()
        session["a"] = 1
        asyncio.run(session.async_save())
        self.assertEqual(self.stored(session.session_key)["values"], {"a": 1})

    def test_storage(self) -> None:
        self.visit(a=1)
        key, sessions = self.browser.cookie or "", SessionStorage()
        self.assertEqual(sessions.get(key), {"a": 1})
        self.assertIsNone(sessions.get("A" * 43))
        self.assertEqual(sessions.get("A" * 43, "none"), "none")
        sessions.set(key, {"b": 2}, 60)
        sessions.save()
        self.assertEqual(self.stored(key)["values"], {"b": 2})
        self.assertLessEqual(age(self.stored(key)["expires"]), 60)
        with self.assertRaisesRegex(KeyError, "made by the server"):
            sessions.set("A" * 43, {"a": 1})
        with self.assertRaisesRegex(TypeError, "SESSION_ENGINE"):
            sessions.set(key, b"sealed")  # type: ignore[arg-type]
        with self.assertRaises(NotImplementedError):
            sessions.clear()
        sessions.delete(key)
        self.assertIsNone(sessions.get(key))
        sessions.close()

    def test_settings_that_are_wrong(self) -> None:
        for change, message in [
            ({"WADDLE_SOCKET": None}, "one of them must be set"),
            ({"WADDLE_URL": "https://x"}, "one of them must be set"),
            ({"WADDLE_SOCKET": None, "WADDLE_URL": "https://x"}, "WADDLE_CERTIFICATE"),
        ]:
            with self.subTest(message), mock.patch.dict(SETTINGS, change):
                storage.client.cache_clear()
                with self.assertRaisesRegex(ValueError, message):
                    SessionStore("A" * 43).load()
        with mock.patch.dict(SETTINGS, {"WADDLE_SOCKET": "/nonexistent/waddle.sock"}):
            storage.client.cache_clear()
            with self.assertRaises(Unavailable):
                SessionStore("A" * 43).get("a")


if __name__ == "__main__":
    unittest.main()
