"""Notices become notifications, one after another; what they say is decided in `core/notices.py`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from trayapp.core import details, notices, sentences
from trayapp.core.client_settings import ClientAccess, Program, settings_text
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.core.snapshot import Snapshot
from trayapp.system.clipboard import copy

if TYPE_CHECKING:
    from trayapp.engine.engine import Engine
    from trayapp.tray.notify import NotificationCentre

log = logging.getLogger(__name__)

SHOW_LIMIT = 10.0  # s
CLOSE_LIMIT = 1.0  # s

Job: TypeAlias = "Callable[[NotificationCentre], Coroutine[Any, Any, object]]"


class Notifier:
    """Owns the notifier. Everything here belongs to the engine's loop."""

    def __init__(self, engine: Engine, act: Callable[[Action], None], *, enabled: bool) -> None:
        self._engine = engine
        self._act = act
        self._enabled = enabled
        self._notifier: NotificationCentre | None = None
        self._said = notices.ShownNotices()
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._up: set[str] = set()  # keys of what may be on the screen
        self._worker: asyncio.Task[None] | None = None
        self._back = False

    async def open(self) -> None:
        """Find the notification server, or do without."""
        if not self._enabled:
            return
        from trayapp.tray.notify import NotificationCentre

        self._notifier = NotificationCentre(self._act)
        self._worker = asyncio.create_task(self._work(self._notifier), name="notifications")

    async def close(self) -> None:
        """What is on the screen is withdrawn: its buttons would do nothing any more."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        if self._notifier is None:
            return
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                for key in sorted(self._up):
                    await self._notifier.withdraw(key)
        except TimeoutError:
            log.warning("the notification server does not answer")
        await self._notifier.close()

    def published(self, snapshot: Snapshot) -> None:
        """Something changed, or time passed."""
        refused = frozenset(self._engine.callers.refused)
        back, self._back = self._back, False
        wall = self._engine.now().wall
        self._said, shown, withdrawn = notices.notices(self._said, snapshot, refused, wall, user_is_back=back)
        for key in withdrawn:
            self._withdraw(key)
        for notice in shown:
            self._show(notice)

    def time_passes(self) -> None:
        """The engine looked at its clocks: an outage may have become old enough to be announced."""
        self.published(self._engine.snapshot())

    def user_is_back(self) -> None:
        """Wake or unlock: a reminder may be due."""
        self._back = True

    def show_all(self) -> None:
        """*Show*: each workload that is not well, with what to do about it; or that all is well."""
        snapshot = self._engine.snapshot()
        found = details.problem_notices(snapshot)
        for notice in found:
            self._show(notice)
        if not found:
            self.say("summary", "Amberlight", details.all_well_text(len(snapshot.workloads)))

    def warn_quit(self, names: list[str]) -> None:
        """*Quit* would lose logins that the keyring did not take."""
        kept = "The keyring does not have it yet: unlock or start the keyring first, and Amberlight saves it by itself."
        title = f"Quitting now loses the login of {sentences.list_names(tuple(names))}"
        self._show(Notice("quit", title, kept, (("Quit all the same", Action(Verb.QUIT)),)))

    def say(self, key: str, title: str, body: str) -> None:
        """A plain sentence."""
        self._show(Notice(key, title, body))

    async def copy_error(self, name: str) -> None:
        """The details of the last error to the clipboard; without one, to the screen."""
        seen = self._engine.view_of(name)
        if seen is None:
            return
        text = details.error_details(seen)
        if not await copy(text):
            self.say(f"details:{name}", f"{name}: details", text)

    async def copy_client(self, name: str, access: ClientAccess | None) -> None:
        """What other programs need to reach a workload, to the clipboard only: it holds a key, so it is never shown."""
        if access is None:
            self.say("client", f"{name}: no client settings", "The proxy is off. See: amberlight doctor")
        elif not await copy(settings_text(access, Program.CLAUDE)):
            body = f"No program for the clipboard was found. Use: amberlight client-config {name} --for claude"
            self.say("client", f"{name}: client settings were not copied", body)

    def _withdraw(self, key: str) -> None:
        self._up.discard(key)
        self._later(lambda notifier: notifier.withdraw(key))

    def _show(self, notice: Notice) -> None:
        self._up.add(notice.key)
        self._later(lambda notifier: notifier.show(notice))

    def _later(self, job: Job) -> None:
        if self._notifier is not None:
            self._jobs.put_nowait(job)

    async def _work(self, notifier: NotificationCentre) -> None:
        """In the order that they came; a server that does not answer holds up the next for so long and no longer."""
        while True:
            job = await self._jobs.get()
            try:
                async with asyncio.timeout(SHOW_LIMIT):
                    await job(notifier)
            except TimeoutError:
                log.warning("the notification server does not answer")
            except Exception:
                log.exception("a notification failed")
