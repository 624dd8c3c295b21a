"""The session engine, beside another program that uses the same sessions."""

import time
from datetime import datetime, timedelta, timezone
from unittest import mock

from django.contrib.sessions.backends.base import UpdateError
from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase, override_settings
from waddle_client import NotStorable, Unavailable, age
from waddle_sessions import SessionStore, conf

from .base import ServerTestCase

LOGIN = {"_auth_user_id": "7", "_auth_user_backend": "b", "_auth_user_hash": "h"}


class StoreTest(ServerTestCase):
    def begin(self, **values: object) -> SessionStore:
        session = SessionStore()
        session.update(values)
        session.save()
        return session

    def values(self, key: str) -> dict:
        session = self.other.load(key)
        assert session is not None
        return session["values"]

    def test_only_changes_are_stored(self) -> None:
        begun = self.begin(mine=1, theirs=1, both=1, gone=1, cart={"figs": 1})
        ours = SessionStore(begun.session_key)
        self.assertEqual(ours["theirs"], 1)
        self.other.commit(
            begun.session_key, set={"theirs": 2, "new": 2, "both": 2}, delete=["gone"]
        )
        ours["mine"] = 3
        ours["both"] = 3
        ours["cart"]["figs"] = 3  # Django does not notice, we do
        ours.save()
        self.assertEqual(
            self.values(ours.session_key),
            {"mine": 3, "theirs": 2, "new": 2, "both": 3, "cart": {"figs": 3}},
        )
        # A second save of the same request does not undo what others did either.
        del ours["mine"]
        ours.save()
        self.assertEqual(
            self.values(ours.session_key), {"theirs": 2, "new": 2, "both": 3, "cart": {"figs": 3}}
        )

    def test_requests_at_once_both_keep_their_change(self) -> None:
        key = self.begin(a=0).session_key
        one, two = SessionStore(key), SessionStore(key)
        one["one"], two["two"] = 1, 2
        one.save()
        two.save()
        self.assertEqual(self.values(key), {"a": 0, "one": 1, "two": 2})

    def test_clear_removes_what_others_add(self) -> None:
        key = self.begin(a=1).session_key
        ours = SessionStore(key)
        ours.clear()
        self.other.commit(key, set={"b": 2})
        ours["c"] = 3
        ours.save()
        self.assertEqual((ours.session_key, self.values(key)), (key, {"c": 3}))

    def test_a_number_that_nobody_changed_keeps_every_digit(self) -> None:
        exact = '{"pi":3.14159265358979323846264338327950288,"huge":1e999}'
        key = self.begin(a=1).session_key
        # As a program that writes such numbers.
        with mock.patch(
            "waddle_client.client.json.dumps", lambda *_, **__: f'{{"id":"{key}","set":{exact}}}'
        ):
            self.other.commit(key, set={})
        session = SessionStore(key)
        session["a"] = 2
        session.save()
        connection = conf.client()._pool.take(1)
        self.addCleanup(conf.client()._pool.give, connection, False)
        connection.request(
            "POST", "/v1/load", f'{{"id":"{key}"}}', {"Content-Type": "application/json"}
        )
        text = connection.getresponse().read().decode()
        self.assertIn("3.14159265358979323846264338327950288", text)
        self.assertIn("1e999", text)

    def test_keys_are_never_adopted(self) -> None:
        for key in ["A" * 43, "chosen-by-somebody", "ü" * 20, "x" * 20_000]:
            with self.subTest(key[:20]):
                session = SessionStore(key)
                self.assertIs(session.exists(key), False)
                session["a"] = 1
                self.assertIsNone(session.session_key)
                session.save()
                self.assertNotEqual(session.session_key, key)
                self.assertIsNone(self.other.load(key))
                with self.assertRaises(UpdateError):
                    SessionStore(key).save()

    def test_a_session_that_ended_is_not_brought_back(self) -> None:
        for name, end in [
            ("log-out", self.other.destroy),
            ("another key", self.other.renew),
        ]:
            for change in ("set", "clear", "cleared and set", "nothing"):
                with self.subTest(name, change=change):
                    session = SessionStore(self.begin(a=1).session_key)
                    if "clear" in change:
                        session.clear()
                    if "set" in change:
                        session["a"] = 2
                    session.get("a")
                    end(session.session_key)
                    session.modified = True
                    with self.assertRaises(UpdateError):
                        session.save()
                    self.assertIsNone(self.other.load(session.session_key))

    def test_a_log_in_binds_the_session(self) -> None:
        session = self.begin(cart=1)
        before = session.session_key
        session.update(LOGIN)
        session.note = {"device": "phone"}
        self.assertIsNone(session.public_id)
        session.save()
        self.assertNotEqual(session.session_key, before)
        self.assertIsNone(self.other.load(before))
        loaded = self.other.load(session.session_key)
        assert loaded is not None
        self.assertEqual((loaded["user"], loaded["values"]), ("7", {"cart": 1, **LOGIN}))
        listed = self.other.user_sessions("7")
        self.assertIn(
            (session.public_id, {"device": "phone"}), [(s["public_id"], s["note"]) for s in listed]
        )
        # Another save is no other log-in.
        key = session.session_key
        session["cart"] = 2
        session.save()
        self.assertEqual(session.session_key, key)
        # The sessions of the user can be ended from anywhere.
        assert session.public_id is not None
        self.assertTrue(self.other.revoke("7", session.public_id))
        self.assertEqual(dict(SessionStore(key).items()), {})

    def test_a_log_in_of_another_program_is_not_mistaken_for_ours(self) -> None:
        session = self.begin(cart=1, **LOGIN)
        theirs = self.other.commit(session.session_key, log_in={"user": "8"})
        ours = SessionStore(theirs["id"])
        self.assertEqual(dict(ours.items()), {"cart": 1})
        ours["cart"] = 2
        ours.save()
        stored = self.other.load(ours.session_key)
        assert stored is not None
        self.assertEqual((stored["user"], stored["values"]), ("8", {"cart": 2}))

    def test_values_that_claim_a_log_in_do_not_count(self) -> None:
        key = self.other.commit(set={**LOGIN, "cart": 1})["id"]
        self.assertEqual(dict(SessionStore(key).items()), {"cart": 1})

    def test_without_its_user_the_session_is_another_one(self) -> None:
        for name, leave in [
            ("removed", lambda s: s.pop("_auth_user_id")),
            ("cleared", lambda s: s.clear()),
            ("cleared after it was read", lambda s: (s.get("cart"), s.clear())),
        ]:
            with self.subTest(name):
                begun = self.begin(cart=1, **LOGIN)
                session = SessionStore(begun.session_key)
                leave(session)
                session["kept"] = True
                session.save()
                self.assertNotEqual(session.session_key, begun.session_key)
                self.assertIsNone(self.other.load(begun.session_key))
                stored = self.other.load(session.session_key)
                assert stored is not None
                self.assertEqual((stored["user"], stored["values"]["kept"]), ("", True))
        begun = self.begin(cart=1, **LOGIN)
        session = SessionStore(begun.session_key)
        session.pop("_auth_user_id")
        session["when"] = datetime.now()
        with self.assertRaises(NotStorable):
            session.save()
        self.assertIsNotNone(self.other.load(begun.session_key))  # not ended for nothing

    def test_cycle_key(self) -> None:
        session = SessionStore(self.begin(cart=1).session_key)
        before = session.session_key
        session["new"] = 1
        session.cycle_key()
        self.assertNotEqual(session.session_key, before)
        self.assertIs(session.modified, True)
        self.assertIsNone(self.other.load(before))
        self.assertEqual(self.values(session.session_key), {"cart": 1})
        session.save()
        self.assertEqual(self.values(session.session_key), {"cart": 1, "new": 1})

    def test_a_new_key_is_a_change(self) -> None:
        session = SessionStore(self.begin(a=1).session_key)
        session.cycle_key()
        self.assertIs(session.modified, True)  # so that the middleware sends it
        session = SessionStore()
        session.create()
        self.assertIs(session.modified, True)

    def test_cycle_key_of_a_session_that_ended_logs_nobody_in(self) -> None:
        session = SessionStore(self.begin(cart=1, **LOGIN).session_key)
        session.get("cart")
        self.other.destroy(session.session_key)
        session.cycle_key()
        session.save()
        stored = self.other.load(session.session_key)
        assert stored is not None
        self.assertEqual((stored["user"], stored["values"]), ("", {"cart": 1}))

    def test_flush(self) -> None:
        session = SessionStore(self.begin(cart=1, **LOGIN).session_key)
        key = session.session_key
        session.flush()
        self.assertIsNone(self.other.load(key))
        self.assertTrue(session.is_empty())
        session["a"] = 1
        session.save()
        self.assertEqual(self.values(session.session_key), {"a": 1})

    def test_what_json_lacks_is_named(self) -> None:
        for value in [datetime.now(), {1, 2}, b"x", float("nan"), object()]:
            session = self.begin(a=1)
            session.update({"a": 2, "when": {"at": [value]}})
            with self.assertRaisesRegex(NotStorable, "'when' is of type dict"):
                session.save()
            self.assertEqual(self.values(session.session_key), {"a": 1})

    def test_expiry(self) -> None:
        end = datetime.now(timezone.utc) + timedelta(hours=3)
        for name, value, seconds, persistence in [
            ("seconds", 60, 60, "persist"),
            ("a timedelta", timedelta(minutes=5), 300, "persist"),
            ("a time", end, 3 * 3600, "persist"),
            ("when the browser closes", 0, 7 * 24 * 3600, "browser"),
        ]:
            with self.subTest(name):
                session = self.begin(a=1)
                session.set_expiry(value)
                session.save()
                stored = self.other.load(session.session_key)
                assert stored is not None
                self.assertEqual(stored["persistence"], persistence)
                self.assertAlmostEqual(age(stored["expires"]), seconds, delta=30)
                again = SessionStore(session.session_key)
                self.assertAlmostEqual(again.get_expiry_age(), seconds, delta=30)
                self.assertIs(again.get_expire_at_browser_close(), value == 0)
                again.set_expiry(None)
                again.save()
                stored = self.other.load(session.session_key)
                assert stored is not None
                self.assertEqual(stored["persistence"], "default")
                self.assertAlmostEqual(age(stored["expires"]), 7 * 24 * 3600, delta=30)

    def test_expiry_that_has_passed(self) -> None:
        for value in [-10, timedelta(seconds=-10), datetime(2001, 2, 3, tzinfo=timezone.utc)]:
            for begun in (SessionStore(), self.begin(a=1)):
                session = SessionStore(begun.session_key)
                session["a"] = 2
                key = session.session_key
                session.set_expiry(value)
                session.save()
                self.assertIs(session.exists(key), False)
                self.assertIsNone(session.session_key)

    def test_expiry_that_another_program_gave(self) -> None:
        key = self.other.commit(
            set={"a": 1}, expiry={"lifetime_ms": 90 * 24 * 3600_000, "persistence": "browser"}
        )["id"]
        session = SessionStore(key)
        self.assertIs(session.get_expire_at_browser_close(), True)
        self.other.commit(key, expiry={"persistence": "persist"})
        session = SessionStore(key)
        self.assertIs(session.get_expire_at_browser_close(), False)
        self.assertAlmostEqual(
            session.get_expiry_age(), 90 * 24 * 3600, delta=30
        )  # the cookie must last as long
        self.other.commit(key, expiry={"lifetime_ms": 60_000})
        self.assertEqual(
            SessionStore(key).get_expiry_age(), 7 * 24 * 3600
        )  # that it lasts longer harms nobody

    def test_a_save_without_changes_prolongs(self) -> None:
        before = self.other.commit(set={"a": 1}, expiry={"lifetime_ms": 60_000})
        time.sleep(0.01)
        session = SessionStore(before["id"])
        session.get("a")
        session.save()
        after = self.other.load(before["id"], touch=False)
        assert after is not None
        self.assertGreater(after["expires"], before["expires"])
        for same in ("values", "persistence", "user"):
            self.assertEqual(after[same], before[same])

    def test_a_look_is_an_access_and_exists_is_none(self) -> None:
        seen = []
        with mock.patch.object(
            type(conf.client()), "load", lambda _, key, touch=True: seen.append(touch)
        ):
            SessionStore("x" * 43).get("a")
            SessionStore().exists("x" * 43)
        self.assertEqual(seen, [True, False])


class SettingsTest(SimpleTestCase):
    def test_no_server_is_an_error_and_not_an_empty_session(self) -> None:
        conf.client()._pool._patience = 0
        session = SessionStore("A" * 43)
        for use in (
            lambda: session.get("a"),
            lambda: session.exists("A" * 43),
            session.save,
            session.delete,
            session.create,
        ):
            with self.assertRaisesRegex(Unavailable, "cannot be reached"):
                use()

    def test_settings_that_are_wrong(self) -> None:
        for change, message in [
            ({"WADDLE_SOCKET": None}, "neither is set"),
            ({"WADDLE_URL": "https://x"}, "both are set"),
            ({"WADDLE_SOCKET": "", "WADDLE_URL": "https://x"}, "WADDLE_CERTIFICATE is not set"),
            (
                {
                    "WADDLE_SOCKET": "",
                    "WADDLE_URL": "https://x",
                    "WADDLE_CERTIFICATE": "/no",
                    "WADDLE_KEY": "/no",
                    "WADDLE_CA": "/no",
                },
                "files cannot be used",
            ),
            ({"WADDLE_TIMEOUT": 0}, "WADDLE_TIMEOUT is 0: must be a number above 0"),
            ({"WADDLE_CONNECTIONS": "8"}, "WADDLE_CONNECTIONS is '8'"),
        ]:
            with self.subTest(message), override_settings(**change):
                with self.assertRaisesMessage(ImproperlyConfigured, message):
                    SessionStore("A" * 43).load()
