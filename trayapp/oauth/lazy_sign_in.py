"""Lazy import of the sign-in code: most days pass without a sign-in, and what it needs is a megabyte of memory.

The first sign-in loads it in a thread, so the event loop isn't blocked. Until then no flow can be waiting for an
answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from trayapp.core.model import BrowserFault, DeviceCode, Moment, Problem, Secret, Spec, Trouble
from trayapp.core.sentences import no_sign_in
from trayapp.engine.ports import NewLogin

if TYPE_CHECKING:
    from trayapp.oauth.client_store import ClientStore
    from trayapp.oauth.preview import ServerLook
    from trayapp.oauth.signin import BrowserSignIn
    from trayapp.oauth.tokens import HttpTokens
    from trayapp.oauth.wire import Wire


class LazySignIn:
    """A `BrowserSignIn` that is made on first use (`engine/ports.py:SignIn`, and what the app's control calls)."""

    def __init__(
        self,
        wire: Wire,
        tokens: HttpTokens,
        keystore: ClientStore,
        open_url: Callable[[str], bool] | None,
        lasting: Callable[[], bool],
    ) -> None:
        self._wire = wire
        self._tokens = tokens
        self._keystore = keystore
        self._open_url = open_url
        self._lasting = lasting
        self._load_lock = asyncio.Lock()
        self._sign_in: BrowserSignIn | None = None

    async def run(
        self,
        spec: Spec,
        *,
        browser: bool,
        show: Callable[[str], None],
        now: Callable[[], Moment],
        show_code: Callable[[DeviceCode], None],
        browser_fault: Callable[[BrowserFault | None], None],
    ) -> NewLogin | Problem:
        sign_in = await self._load()
        return await sign_in.run(
            spec, browser=browser, show=show, now=now, show_code=show_code, browser_fault=browser_fault
        )

    def paste(self, name: str, url: str) -> Problem | None:
        if self._sign_in is None:
            return Problem("request", no_sign_in(name)[:200])
        return self._sign_in.paste(name, url)

    def reopen(self, name: str) -> bool:
        return self._sign_in is not None and self._sign_in.reopen(name)

    def page(self, name: str) -> str | None:
        return self._sign_in.page(name) if self._sign_in is not None else None

    def steps(self, name: str) -> tuple[str, ...]:
        return self._sign_in.steps(name) if self._sign_in is not None else ()

    def registered(self, name: str) -> bool:
        return self._sign_in is not None and self._sign_in.registered(name)

    def register_again(self, name: str) -> None:
        if self._sign_in is not None:
            self._sign_in.register_again(name)

    async def client_secret(self, name: str, client_id: str, wall: float) -> tuple[Secret, float] | None:
        return await (await self._load()).client_secret(name, client_id, wall)

    async def set_secret(self, name: str, secret: Secret | None) -> Trouble | None:
        return await (await self._load()).set_secret(name, secret)

    def rename(self, name: str, new: str) -> None:
        if self._sign_in is not None:
            self._sign_in.rename(name, new)

    async def look(self, spec: Spec) -> Problem | ServerLook:
        """What a sign-in to this workload would find, without keeping anything of it."""
        await self._load()
        from trayapp.oauth.preview import look

        return await look(spec, self._wire, self._tokens)

    async def forget(self, name: str) -> None:
        await (await self._load()).forget(name)

    async def close(self) -> None:
        if self._sign_in is not None:
            await self._sign_in.close()

    async def _load(self) -> BrowserSignIn:
        async with self._load_lock:
            if self._sign_in is None:
                await asyncio.to_thread(import_module, "trayapp.oauth.signin")
                self._sign_in = self._create()
            return self._sign_in

    def _create(self) -> BrowserSignIn:
        from trayapp.oauth.client_store import ClientRecords
        from trayapp.oauth.signin import BrowserSignIn

        return BrowserSignIn(
            self._wire,
            self._tokens,
            clients=ClientRecords(self._keystore),
            open_url=self._open_url,
            lasting=self._lasting,
        )
