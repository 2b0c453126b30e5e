"""Remove a workload: its login is revoked and deleted first, then its entry goes, so that none comes back at a restart.

An entry without a login can be added again or removed once more; the reverse would leave a login that nothing names.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

from trayapp.api.controls import Rejected, Removed
from trayapp.app import rejections
from trayapp.app.editing import Configuration
from trayapp.app.rejections import RejectedError
from trayapp.core.presentation import Action, Verb
from trayapp.core.sentences import NO_SUCH_WORKLOAD, sign_in_cancelled

if TYPE_CHECKING:
    from trayapp.engine.engine import Engine

log = logging.getLogger(__name__)

ANSWER_LIMIT = 12.0  # s until the answer: revoking takes at most 10. What is left is done nevertheless
POLL = 0.1  # s between two checks whether the workload is gone


class Removing:
    """On the engine's loop. `forget_client_data` deletes the local keys; `forget_client` the registered client; `is_moving`
    says whether a rename of the workload isn't complete yet. `take_out` takes the entries of workloads that are gone out of
    clients' files, and says what it did."""

    def __init__(
        self,
        engine: Engine,
        configuration: Configuration,
        forget_client_data: Callable[[Sequence[str]], None],
        forget_client: Callable[[str], Awaitable[object]],
        is_moving: Callable[[str], bool],
        take_out: Callable[[Sequence[str]], Awaitable[Sequence[str]]],
    ) -> None:
        self._engine = engine
        self._configuration = configuration
        self._forget_client_data = forget_client_data
        self._forget_client = forget_client
        self._is_moving = is_moving
        self._take_out_of_clients = take_out
        self._removing: dict[str, asyncio.Task[None]] = {}
        self._hidden: set[str] = set()  # whatever config.toml says until their entries are gone
        self._gone: set[str] = set()  # from the engine, and not yet from the file
        self._turn = asyncio.Lock()
        self._failed: dict[str, Rejected] = {}  # removals whose entry could not be taken out

    async def remove(self, names: Sequence[str]) -> Removed:
        """Remove them. Returns while a slow server is still revoking a login.

        However many they are, config.toml is looked at once: its parser takes a while for hundreds of workloads.
        """
        try:
            site = await self._configuration.in_thread(lambda: _check(self._configuration))
        except RejectedError as error:
            return Removed(dict.fromkeys(names, error.rejected))
        refused = {name: reason for name in names if (reason := self._refusal(name, site)) is not None}
        left = [name for name in names if name not in refused]
        notes = [sign_in_cancelled(name) for name in left if self._is_signing_in(name)]
        self._begin([name for name in left if name not in self._removing])
        if tasks := [task for name in left if (task := self._removing.get(name)) is not None]:
            await asyncio.wait(tasks, timeout=ANSWER_LIMIT)
        refused |= {name: self._failed[name] for name in left if name in self._failed}
        notes += await self._take_out_of_clients([name for name in left if name not in refused])
        return Removed(refused, tuple(notes))

    def _is_signing_in(self, name: str) -> bool:
        view = self._engine.view_of(name)
        return view is not None and view.auth.signing_in

    def _refusal(self, name: str, site: Collection[str]) -> Rejected | None:
        """Why it can't be removed. Never delete a login whose entry can't go."""
        if name in site:
            return rejections.site_file(name, self._configuration.paths.site_config_file)
        if name not in self._engine.workloads:
            return Rejected(404, "unknown_workload", NO_SUCH_WORKLOAD)
        if self._is_moving(name):
            return Rejected(409, "busy", f"{name} is being renamed. Unlock your keyring, then try again.")
        return None

    def _begin(self, names: Sequence[str]) -> None:
        for name in names:
            self._failed.pop(name, None)
            self._hidden.add(name)
            self._engine.post(Action(Verb.REMOVE, name))
            task = self._removing[name] = self._engine.task(f"remove {name}", self._remove(name), needed=True)
            task.add_done_callback(partial(self._ended, name))
        self._forget_client_data(names)

    def _ended(self, name: str, _: asyncio.Task[None]) -> None:
        self._removing.pop(name, None)

    def hides(self, name: str) -> bool:
        """Whether it is being removed, so that its entry in config.toml doesn't count any more."""
        return name in self._hidden

    async def _remove(self, name: str) -> None:
        await asyncio.sleep(0)  # the click is taken up
        while self._is_going(name):  # noqa: ASYNC110 - the engine ends it by itself, in its own time
            await asyncio.sleep(POLL)
        self._gone.add(name)
        await self._forget_client(name)  # now that revoking no longer needs it
        async with self._turn:
            if self._gone:
                await self._take_out(tuple(sorted(self._gone)))

    def _is_going(self, name: str) -> bool:
        w = self._engine.workloads.get(name)
        return w is not None and w.after == "remove"

    async def _take_out(self, names: tuple[str, ...]) -> None:
        self._gone.difference_update(names)
        try:
            await self._configuration.in_thread(lambda: _edit(self._configuration, names))
        except RejectedError as error:
            log.error("%s: still in %s: %s", ", ".join(names), self._configuration.paths.config_file, error)
            self._failed |= dict.fromkeys(names, error.rejected)
        self._hidden.difference_update(names)
        await self._configuration.reload()


def _edit(configuration: Configuration, names: tuple[str, ...]) -> None:
    from trayapp.config import editor

    editor.remove(configuration.paths, *names)


def _check(configuration: Configuration) -> frozenset[str]:
    """The workloads whose entries can't be removed; raises what an edit would raise if none can."""
    from trayapp.config import editor

    editor.check_editable(configuration.paths)
    return editor.in_site_file(configuration.paths)
