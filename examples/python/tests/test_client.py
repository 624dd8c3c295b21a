"""The client, over a real server."""

import os
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

from waddle_client import Client, Conflict, Gone, Refused, age
from waddle_client.testing import Server
from waddle_client.times import format_time


class ClientTest(unittest.TestCase):
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server().start()
        cls.addClassCleanup(cls.server.close)

    def setUp(self) -> None:
        self.client = Client(self.server.address)
        self.addCleanup(self.client.close)

    def test_life_of_a_session(self) -> None:
        begun = self.client.commit(
            set={"cart": {"figs": 2}, "große": "ü😀", "n": 2**70, "x": None}
        )
        self.assertEqual(
            begun["values"], {"cart": {"figs": 2}, "große": "ü😀", "n": 2**70, "x": None}
        )
        self.assertEqual(begun["user"], "")
        self.assertGreater(age(begun["expires"]), 3600)

        loaded = self.client.load(begun["id"])
        assert loaded is not None
        self.assertEqual((loaded["id"], loaded["values"]), (begun["id"], begun["values"]))

        changed = self.client.commit(begun["id"], set={"n": 1}, delete=["x", "absent"])
        self.assertEqual(changed["values"], {"cart": {"figs": 2}, "große": "ü😀", "n": 1})
        cleared = self.client.commit(begun["id"], clear=True, set={"only": True})
        self.assertEqual(cleared["values"], {"only": True})

        renewed = self.client.renew(begun["id"])
        self.assertNotEqual(renewed["id"], begun["id"])
        self.assertEqual(renewed["values"], {"only": True})
        self.assertIsNone(self.client.load(begun["id"]))
        with self.assertRaises(Gone):
            self.client.commit(begun["id"], set={"a": 1})

        self.assertTrue(self.client.touch(renewed["id"]))
        self.assertTrue(self.client.destroy(renewed["id"]))
        self.assertFalse(self.client.destroy(renewed["id"]))
        self.assertFalse(self.client.touch(renewed["id"]))
        self.assertIsNone(self.client.load(renewed["id"]))
        for change in (self.client.renew, lambda id: self.client.commit(id, set={"a": 1})):
            with self.assertRaises(Gone):
                change(renewed["id"])

    def test_made_up_ids_are_not_adopted(self) -> None:
        for id in ["A" * 43, "short", "ü", "x" * 10_000, "' or 1=1"]:
            with self.subTest(id[:20]):
                self.assertIsNone(self.client.load(id))
                with self.assertRaises(Gone):
                    self.client.commit(id, set={"a": 1})

    def test_a_revision_that_is_not_the_newest_is_a_conflict(self) -> None:
        first = self.client.commit(set={"n": 1})
        second = self.client.commit(
            first["id"], revision=first["revision"], on_conflict="fail", set={"n": 2}
        )
        with self.assertRaises(Conflict) as caught:
            self.client.commit(
                first["id"], revision=first["revision"], on_conflict="fail", set={"n": 3}
            )
        assert caught.exception.session is not None
        self.assertEqual(caught.exception.session["revision"], second["revision"])
        self.assertEqual(caught.exception.session["values"], {"n": 2})

    def test_no_change_of_several_threads_is_lost(self) -> None:
        id = self.client.commit(set={"n": 0})["id"]

        def count(who: int) -> None:
            for _ in range(5):
                self.client.commit(id, set={f"of {who}": who})
                while True:
                    now = self.client.load(id)
                    assert now is not None
                    try:
                        self.client.commit(
                            id,
                            revision=now["revision"],
                            on_conflict="fail",
                            set={"n": now["values"]["n"] + 1},
                        )
                        break
                    except Conflict:
                        pass

        with ThreadPoolExecutor(12) as threads:  # more than there are connections
            list(threads.map(count, range(12)))
        loaded = self.client.load(id)
        assert loaded is not None
        self.assertEqual(loaded["values"], {"n": 60, **{f"of {who}": who for who in range(12)}})

    def test_sessions_of_a_user(self) -> None:
        one, two, three = (
            self.client.commit(log_in={"user": "ada", "note": {"device": device}})
            for device in ("phone", "desk", "old")
        )
        listed = self.client.user_sessions("ada")
        self.assertCountEqual(
            [(s["public_id"], s["note"]["device"]) for s in listed],
            [(one["public_id"], "phone"), (two["public_id"], "desk"), (three["public_id"], "old")],
        )
        self.assertNotIn("id", listed[0])
        self.assertTrue(self.client.revoke("ada", three["public_id"]))
        self.assertFalse(self.client.revoke("ada", three["public_id"]))
        self.assertIsNone(self.client.load(three["id"]))
        self.assertEqual(self.client.revoke_all("ada", except_=[one["public_id"]]), 1)
        self.assertIsNone(self.client.load(two["id"]))
        self.assertIsNotNone(self.client.load(one["id"]))

    def test_a_log_in_gives_a_new_id(self) -> None:
        before = self.client.commit(set={"cart": 1})
        after = self.client.commit(before["id"], log_in={"user": "eve"})
        self.assertNotEqual(after["id"], before["id"])
        self.assertEqual((after["user"], after["values"]), ("eve", {"cart": 1}))
        self.assertIsNone(self.client.load(before["id"]))

    def test_expiry(self) -> None:
        end = datetime.now(timezone.utc) + timedelta(hours=2)
        at = self.client.commit(expiry={"expires": format_time(end), "persistence": "persist"})
        self.assertEqual(at["expires"], format_time(end))
        self.assertEqual(at["persistence"], "persist")
        short = self.client.commit(expiry={"lifetime_ms": 60_000})
        self.assertLessEqual(age(short["expires"]), 60)
        long = self.client.commit(short["id"], expiry={"reset": True})
        self.assertGreater(age(long["expires"]), 3600)

    def test_modified_prolongs(self) -> None:
        begun = self.client.commit(set={"a": 1}, expiry={"lifetime_ms": 60_000})
        time.sleep(0.01)
        looked = self.client.commit(begun["id"])
        self.assertEqual(looked["expires"], begun["expires"])
        prolonged = self.client.commit(begun["id"], modified=True)
        self.assertGreater(prolonged["expires"], begun["expires"])
        self.assertEqual(prolonged["values"], {"a": 1})

    def test_what_is_refused(self) -> None:
        id = self.client.commit(set={"a": 1})["id"]
        for name, changes in [
            ("an unknown field", {"sett": {}}),
            ("a name of the library's own", {"set": {"waddle.user": 1}}),
            ("no name", {"set": {"": 1}}),
            ("a user without a name", {"log_in": {"user": ""}}),
            ("too large", {"set": {"a": "x" * (2 << 20)}}),
        ]:
            with self.subTest(name):
                with self.assertRaises(Refused) as caught:
                    self.client.commit(id, **changes)
                self.assertTrue(caught.exception.code)
        loaded = self.client.load(id)
        assert loaded is not None
        self.assertEqual(loaded["values"], {"a": 1})

    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_a_forked_process_has_connections_of_its_own(self) -> None:
        id = self.client.commit(set={"a": 1})["id"]
        stop = threading.Event()

        def read() -> int:
            n = 0
            while not stop.is_set() or n < 20:
                loaded = self.client.load(id)
                assert loaded is not None and loaded["id"] == id
                n += 1
            return n

        with ThreadPoolExecutor(
            2
        ) as threads:  # both are in the middle of calls when the process forks
            readers = [threads.submit(read) for _ in range(2)]
            for _ in range(5):
                child = os.fork()
                if child == 0:
                    status = 1
                    try:
                        loaded = [self.client.load(id) for _ in range(10)]
                        status = 0 if all(s and s["id"] == id for s in loaded) else 2
                    finally:
                        os._exit(status)
                self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
            stop.set()
            for reader in readers:
                self.assertGreaterEqual(reader.result(), 20)

    def test_settings(self) -> None:
        self.assertEqual(self.client.settings()["cookie"]["name"], "session_id")


class AddressTest(unittest.TestCase):
    def test_addresses_that_are_wrong(self) -> None:
        for address in [
            "",
            "unix:",
            "http://localhost:7000",
            "https://",
            "https://host/path",
            "/run/x.sock",
            "https://host?x=1",
        ]:
            with self.subTest(address):
                with self.assertRaisesRegex(ValueError, "must be"):
                    Client(address)


if __name__ == "__main__":
    unittest.main()
