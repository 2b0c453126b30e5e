"""Show notices as desktop notifications, one after another. What they say is decided in `core/notices.py`."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine, Iterable, Set
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from trayapp.config.loader import Settings
from trayapp.core import app_notices, details, notices, sentences
from trayapp.core.model import Moment
from trayapp.core.notice_kinds import KINDS, is_quiet
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.core.snapshot import Snapshot
from trayapp.system.clipboard import copy

if TYPE_CHECKING:
    from trayapp.tray.balloons import ShowBalloon
    from trayapp.tray.notify import NotificationCentre

log = logging.getLogger(__name__)

SHOW_LIMIT = 10.0  # s that one notification may take; then the next has its turn
TEXT_LIFE = 60.0  # s in which a sentence that could not be shown is still worth showing
RESTART_LIMIT = 60.0  # s; some daemons end when idle and are started by anybody's next notification: that is no restart
CLOSE_LIMIT = 1.0  # s for withdrawing all of them at the end

Job: TypeAlias = "Callable[[NotificationCentre], Coroutine[Any, Any, object]]"


def allowed_kinds(settings: Settings, wall: float) -> Set[str]:
    """The kinds of notifications that may be shown at this time of day."""
    local = time.localtime(wall)
    quiet = is_quiet(settings.quiet_hours, local.tm_hour * 60 + local.tm_min)
    return frozenset() if quiet else frozenset(settings.notifications)


class Notifier:
    """Owns the notification centre, on the engine's loop.

    `refused` gives the workloads that refused a caller since they last ran; `act` takes a click on a button; `allowed`
    gives the kinds that may be shown now; `show_balloon` is the tray icon's.
    """

    def __init__(
        self,
        now: Callable[[], Moment],
        snapshot: Callable[[], Snapshot],
        refused: Callable[[], Iterable[str]],
        act: Callable[[Action], None],
        *,
        enabled: bool,
        allowed: Callable[[], Set[str]] = lambda: frozenset(KINDS),
        show_balloon: ShowBalloon | None = None,
    ) -> None:
        self._now = now
        self._snapshot = snapshot
        self._refused = refused
        self._act = act
        self._enabled = enabled
        self._allowed = allowed
        self._show_balloon = show_balloon
        self._centre: NotificationCentre | None = None
        self._shown_notices = notices.ShownNotices()
        self._shown_of_app: frozenset[str] = frozenset()
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._on_screen: set[str] = set()  # keys of notices that may be on the screen, or should be
        self._unseen: set[str] = set()  # those that could not be shown, or have gone with the daemon
        self._expired: tuple[Set[str], float] = (frozenset(), 0.0)  # those that had expired when it went, and when
        self._texts: dict[str, tuple[Notice, float]] = {}  # sentences, and until when they are worth showing
        self._when_seen: dict[str, Callable[[], None]] = {}
        self._worker: asyncio.Task[None] | None = None
        self._user_returned = False

    async def open(self) -> None:
        """Find the notification server and begin to show notices, if notifications are enabled."""
        if not self._enabled:
            return
        from trayapp.tray.channel import Listener
        from trayapp.tray.notify import NotificationCentre, native_channel

        listener = Listener(self._act, self._show_unseen, self._lost)
        make_channel = partial(native_channel, show_balloon=self._show_balloon)
        self._centre = NotificationCentre(listener, make_channel=make_channel)
        self._worker = asyncio.create_task(self._work(self._centre), name="notifications")

    async def close(self) -> None:
        """Withdraw what is on the screen: its buttons would do nothing any more."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        if self._centre is None:
            return
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                for key in sorted(self._on_screen):
                    await self._centre.withdraw(key)
        except TimeoutError:
            log.warning("the notification server is not responding; its notifications stay")
        await self._centre.close()

    def published(self, snapshot: Snapshot) -> None:
        """Show and withdraw whatever this snapshot changes."""
        refused = frozenset(self._refused())
        returned, self._user_returned = self._user_returned, False
        wall = self._now().wall
        allowed = self._allowed()
        self._shown_notices, shown, withdrawn = notices.notices(
            self._shown_notices, snapshot, refused, wall, user_is_back=returned, allowed=allowed
        )
        self._shown_of_app, app_shown, app_withdrawn = app_notices.changes(
            self._shown_of_app, snapshot, quiet=not allowed
        )
        for key in (*withdrawn, *app_withdrawn):
            self._withdraw(key)
        for notice in (*app_shown, *shown):
            self._show(notice)

    def time_passes(self) -> None:
        """The engine made a pass: by now an outage may be old enough to be announced."""
        self.published(self._snapshot())

    def user_is_back(self) -> None:
        """The machine woke or the keyring was unlocked: a reminder may be due."""
        self._user_returned = True

    def show_all(self) -> None:
        """*Show*: one notification for each problem of the app or a workload, or one that all is well."""
        snapshot = self._snapshot()
        problems = (*app_notices.app_notices(snapshot), *details.problem_notices(snapshot))
        for notice in problems:
            self._show_for(notice, TEXT_LIFE)
        if not problems:
            self.show_text("summary", "Amberlight", details.all_well_text(len(snapshot.workloads)))

    def warn_quit(self, names: list[str]) -> None:
        """Warn that *Quit* would lose logins that the keyring hasn't stored."""
        body = "It isn't saved yet. Unlock or start your keyring, and Amberlight saves it."
        title = f"Quitting now loses the login of {sentences.list_names(tuple(names))}"
        self._show_for(Notice("quit", title, body, (("Quit anyway", Action(Verb.QUIT)),)), TEXT_LIFE)

    def show_text(self, key: str, title: str, body: str) -> None:
        """Show a plain sentence. A later one with the same key replaces it. A daemon that comes within a minute shows it."""
        self._show_for(Notice(key, title, body), TEXT_LIFE)

    def show_until_seen(self, notice: Notice, seen: Callable[[], None]) -> None:
        """Show it as soon as there is a daemon, however long that takes; `seen` is called once one has shown it."""
        self._when_seen[notice.key] = seen
        self._show_for(notice, math.inf)

    def withdraw(self, key: str) -> None:
        """Remove a sentence that is no longer true."""
        if key in self._on_screen:
            self._withdraw(key)

    async def copy_error(self, name: str) -> None:
        """Copy the details of the last error; without a clipboard, show them."""
        view = self._snapshot().everything.get(name)
        if view is None:
            return
        text = details.error_details(view)
        if not await copy(text):
            self.show_text(f"details:{name}", f"{view.title}: details", text)

    async def copy_sign_in(self, name: str, page: str | None) -> None:
        """Copy the address of the sign-in page. It belongs to one sign-in, so it is never shown."""
        title = f"{name}: couldn't copy the sign-in URL"
        if page is None:
            self.show_text(
                f"copy:{name}", title, f"The sign-in has ended. To start another, run `amberlight reauthorize {name}`."
            )
        elif not await copy(page):
            body = f"No clipboard program was found. Run `amberlight reauthorize {name} --no-browser`."
            self.show_text(f"copy:{name}", title, body)

    def _withdraw(self, key: str) -> None:
        self._on_screen.discard(key)
        self._texts.pop(key, None)
        self._when_seen.pop(key, None)
        self._enqueue(lambda centre: centre.withdraw(key))

    def _show_for(self, notice: Notice, life: float) -> None:
        self._texts[notice.key] = notice, self._now().at + life
        self._show(notice)

    def _show(self, notice: Notice) -> None:
        self._on_screen.add(notice.key)
        self._enqueue(lambda centre: self._try(centre, notice))

    async def _try(self, centre: NotificationCentre, notice: Notice) -> None:
        self._unseen.add(notice.key)
        if await centre.show(notice):
            self._unseen.discard(notice.key)
            if (seen := self._when_seen.pop(notice.key, None)) is not None:
                seen()

    def _lost(self, live: Set[str], expired: Set[str]) -> None:
        """The daemon ended, and what it showed is gone."""
        self._unseen |= live
        self._expired = expired, self._now().at

    def _show_unseen(self) -> None:
        """There may be a daemon now: show what nobody has seen yet and is still true."""
        expired, lost_at = self._expired
        self._expired = frozenset(), 0.0
        at = self._now().at
        unseen = self._unseen | (expired if at - lost_at < RESTART_LIMIT else frozenset())
        self._unseen = set()
        self._shown_notices = notices.forget(self._shown_notices, unseen & self._on_screen)
        self._shown_of_app = app_notices.forget(self._shown_of_app, unseen & self._on_screen)
        self.published(self._snapshot())
        for key in sorted(unseen & self._texts.keys()):
            notice, until = self._texts[key]
            if at < until:
                self._show(notice)

    def _enqueue(self, job: Job) -> None:
        if self._centre is not None:
            self._jobs.put_nowait(job)

    async def _work(self, centre: NotificationCentre) -> None:
        """Do the jobs in their order. A server that doesn't answer delays the next one by at most `SHOW_LIMIT`."""
        while True:
            job = await self._jobs.get()
            try:
                async with asyncio.timeout(SHOW_LIMIT):
                    await job(centre)
            except TimeoutError:
                log.warning("the notification server is not responding")
            except Exception:
                log.exception("a notification failed")
