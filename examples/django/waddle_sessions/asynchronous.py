"""The asynchronous methods of a session, as Django has them since 5.1."""

from __future__ import annotations

import asyncio
from typing import Any, Optional

from django.contrib.sessions.backends.base import SessionBase

_MISSING = object()


class AsyncMethods(SessionBase):
    """Each method does what the one without the "a" does.

    The call to the server waits in a thread, so the event loop goes on.
    Methods that need no call run in the loop. They work with every version of
    Django, also those whose own session middleware does not use them.
    """

    async def aload(self) -> Any:
        return await asyncio.to_thread(self.load)

    async def aexists(self, session_key: Optional[str]) -> bool:
        return await asyncio.to_thread(self.exists, session_key)

    async def acreate(self) -> None:
        await asyncio.to_thread(self.create)

    async def asave(self, must_create: bool = False) -> None:
        await asyncio.to_thread(self.save, must_create)

    async def adelete(self, session_key: Optional[str] = None) -> None:
        await asyncio.to_thread(self.delete, session_key)

    async def aflush(self) -> None:
        await asyncio.to_thread(self.flush)

    async def acycle_key(self) -> None:
        await asyncio.to_thread(self.cycle_key)

    @classmethod
    async def aclear_expired(cls) -> None:
        cls.clear_expired()

    async def _aget_session(self, no_load: bool = False) -> Any:
        if hasattr(self, "_session_cache") or no_load or self.session_key is None:
            return self._get_session(no_load)
        return await asyncio.to_thread(self._get_session)

    async def aget(self, key: str, default: Any = None) -> Any:
        return (await self._aget_session()).get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        (await self._aget_session())[key] = value
        self.modified = True

    async def apop(self, key: str, default: Any = _MISSING) -> Any:
        await self._aget_session()
        return self.pop(key) if default is _MISSING else self.pop(key, default)

    async def asetdefault(self, key: str, value: Any) -> Any:
        await self._aget_session()
        return self.setdefault(key, value)

    async def aupdate(self, dict_: Any) -> None:
        await self._aget_session()
        self.update(dict_)

    async def ahas_key(self, key: str) -> bool:
        return key in await self._aget_session()

    async def akeys(self) -> Any:
        return (await self._aget_session()).keys()

    async def avalues(self) -> Any:
        return (await self._aget_session()).values()

    async def aitems(self) -> Any:
        return (await self._aget_session()).items()

    async def aset_test_cookie(self) -> None:
        await self._aget_session()
        self.set_test_cookie()

    async def atest_cookie_worked(self) -> bool:
        await self._aget_session()
        return self.test_cookie_worked()

    async def adelete_test_cookie(self) -> None:
        await self._aget_session()
        self.delete_test_cookie()

    async def aset_expiry(self, value: Any) -> None:
        await self._aget_session()
        self.set_expiry(value)

    async def aget_expiry_age(self, **kwargs: Any) -> int:
        await self._aget_session()
        return self.get_expiry_age(**kwargs)

    async def aget_expiry_date(self, **kwargs: Any) -> Any:
        await self._aget_session()
        return self.get_expiry_date(**kwargs)

    async def aget_expire_at_browser_close(self) -> bool:
        await self._aget_session()
        return self.get_expire_at_browser_close()
