"""The asynchronous methods."""

import asyncio
import threading
import time
from unittest import mock

from django.contrib.sessions.backends.base import SessionBase, UpdateError
from waddle_client import Client
from waddle_sessions import SessionStore

from .base import ServerTestCase


class AsyncTest(ServerTestCase):
    async def test_life_of_a_session(self) -> None:
        session = SessionStore()
        await session.aset("a", 1)
        await session.aupdate({"b": 2, "c": {"d": 3}})
        self.assertEqual(await session.asetdefault("b", 5), 2)
        self.assertEqual(await session.asetdefault("e", 5), 5)
        await session.aset_expiry(60)
        await session.asave()
        key = session.session_key
        self.assertIs(await session.aexists(key), True)

        session = SessionStore(key)
        self.assertEqual(await session.aget("a"), 1)
        self.assertEqual(await session.aget("absent", "default"), "default")
        self.assertIs(await session.ahas_key("b"), True)
        self.assertEqual(sorted(await session.akeys()), ["_session_expiry", "a", "b", "c", "e"])
        self.assertIn({"d": 3}, await session.avalues())
        self.assertIn(("a", 1), await session.aitems())
        self.assertEqual(await session.aget_expiry_age(), 60)
        self.assertGreater((await session.aget_expiry_date()).timestamp(), time.time())
        self.assertIs(await session.aget_expire_at_browser_close(), False)
        self.assertEqual(await session.apop("e"), 5)
        self.assertEqual(await session.apop("e", 6), 6)
        with self.assertRaises(KeyError):
            await session.apop("e")
        await session.aset_test_cookie()
        self.assertIs(await session.atest_cookie_worked(), True)
        await session.adelete_test_cookie()
        self.assertIs(await session.atest_cookie_worked(), False)

        await session.acycle_key()
        self.assertIs(await session.aexists(key), False)
        await session.asave()
        self.assertEqual(
            sorted(await SessionStore(session.session_key).akeys()),
            ["_session_expiry", "a", "b", "c"],
        )

        late = SessionStore(session.session_key)
        await late.aset("a", 2)
        key = session.session_key
        await session.aflush()
        self.assertIs(await session.aexists(key), False)
        self.assertIsNone(session.session_key)
        with self.assertRaises(UpdateError):
            await late.asave()
        await SessionStore(key).adelete()
        self.assertEqual(await SessionStore(key).aload(), {})
        await session.acreate()
        self.assertIs(await session.aexists(session.session_key), True)
        await SessionStore.aclear_expired()

    async def test_the_event_loop_goes_on_during_a_call(self) -> None:
        loop_thread, used = threading.get_ident(), []
        load = Client.load

        def slow(client: Client, *arguments: object, **options: object) -> object:
            used.append(threading.get_ident())
            turned.wait(10)
            return load(client, *arguments, **options)  # type: ignore[arg-type]

        turned = threading.Event()
        key = self.other.commit(set={"a": 1})["id"]
        with mock.patch.object(Client, "load", slow):
            reading = asyncio.ensure_future(SessionStore(key).aget("a"))
            while not used:
                await asyncio.sleep(0)
            turned.set()  # this loop ran while the call waited
            self.assertEqual(await reading, 1)
        self.assertNotIn(loop_thread, used)

    async def test_changes_at_once_are_all_kept(self) -> None:
        key = self.other.commit(set={"a": 0})["id"]

        async def change(n: int) -> None:
            session = SessionStore(key)
            await session.aset(f"of {n}", n)
            await session.asave()

        await asyncio.gather(*map(change, range(30)))
        self.assertEqual(
            dict(await SessionStore(key).aitems()), {"a": 0, **{f"of {n}": n for n in range(30)}}
        )

    def test_no_method_of_this_django_is_missing(self) -> None:
        names = {
            name
            for name in dir(SessionBase)
            if name.startswith("a") and hasattr(SessionBase, name[1:])
        }
        ours = {
            name
            for name in dir(SessionStore)
            if name.startswith("a") and hasattr(SessionStore, name[1:])
        }
        self.assertLessEqual(names, ours)
        mixin = SessionStore.__mro__[1]
        self.assertLessEqual(
            {name for name in names if not name.startswith("_")}, set(vars(mixin))
        )
