"""Rename a workload: its entry in config.toml, its login and everything kept under its name, and clients' entries.

The workload is paused for it, so that nothing is in flight and no login is in memory only. `renames.py` then moves what
the keyring and state.db have, before anybody reads a login under the new name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, Protocol

from trayapp.api.controls import Rejected
from trayapp.app import rejections
from trayapp.app.editing import Configuration
from trayapp.app.rejections import RejectedError
from trayapp.app.renames import Renames
from trayapp.core.messages import Pause, Resume
from trayapp.core.model import Phase, Trouble
from trayapp.core.sentences import sign_in_cancelled
from trayapp.engine.ports import StoredLogin
from trayapp.system.private_files import NotPrivateError

if TYPE_CHECKING:
    from trayapp.engine.engine import Engine

log = logging.getLogger(__name__)

QUIET_LIMIT = 10.0  # s for an attempt in flight and its storing
POLL = 0.05  # s


class ReadableKeystore(Protocol):
    """What is needed of the keyring."""

    async def load(self, name: str, *, prompt: bool = False) -> StoredLogin | Trouble: ...


class Renaming:
    """On the engine's loop. `repoint` changes clients' entries and returns sentences; `forget_endpoint` ends what clients
    had at the old address."""

    def __init__(
        self,
        engine: Engine,
        configuration: Configuration,
        renames: Renames,
        keystore: ReadableKeystore,
        repoint: Callable[[str, str], Awaitable[Sequence[str]]],
        forget_endpoint: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._configuration = configuration
        self._renames = renames
        self._keystore = keystore
        self._repoint = repoint
        self._forget_endpoint = forget_endpoint
        self._turn = asyncio.Lock()

    async def rename(self, name: str, new: str) -> Sequence[str]:
        """Rename it; what became of clients' entries and of a sign-in, a sentence each. Raises `RejectedError`."""
        async with self._turn:
            await self._check(name, new)
            was_paused = self._engine.workloads[name].phase is Phase.PAUSED
            signing_in = self._engine.workloads[name].signing_in
            self._begin(name, new, resume=not was_paused)
            try:
                await self._pause(name)
                await self._write(name, new)
            except RejectedError as error:
                if not await self._configuration.in_thread(lambda: _is_there(self._configuration, new)):
                    self._abandon(name, new)
                    if not was_paused:
                        self._engine.apply(name, Resume(self._engine.now()))
                    raise _with_note(error, sign_in_cancelled(name, name) if signing_in else "") from None
            self._renames.commit()
            await self._configuration.load()
            self._forget_endpoint(name)
        ended = [sign_in_cancelled(name, new)] if signing_in else []
        return [*ended, *await self._repoint(name, new)]

    async def _check(self, name: str, new: str) -> None:
        removals = self._engine.effects.removals
        await self._configuration.in_thread(lambda: _refuse_site_file(self._configuration, name))
        for each in (name, new):
            if removals.word(each) or self._renames.concerns(each):
                _reject("busy", f"An earlier change of {each} isn't complete yet. Unlock your keyring, then try again.")
        there = await self._keystore.load(new, prompt=True)
        w = self._engine.workloads.get(name)
        if w is None or w.after == "remove":
            _reject("unknown_workload", f"{name} is being removed.")
        if there is Trouble.UNAVAILABLE and w.login is None:
            return  # what a keyring may have of it moves once there is one
        if isinstance(there, Trouble):
            _reject("keyring", "The keyring isn't available. Unlock or start it, then try again.")
        if there.login is not None or there.candidate is not None:
            text = (
                f"The keyring still has a login of an earlier {new}. Choose another name, or add {new} and remove it."
            )
            raise RejectedError(Rejected(409, rejections.NAME_TAKEN, text, {"name": text}))

    async def _pause(self, name: str) -> None:
        """Pause it, and wait until nothing is in flight."""
        engine = self._engine
        engine.sign_ins.cancel(name)
        engine.apply(name, Pause(engine.now()))
        for _ in range(int(QUIET_LIMIT / POLL)):
            w = engine.workloads.get(name)
            if w is None or (w.phase is Phase.PAUSED and w.storing is None):
                break
            await asyncio.sleep(POLL)
        w = engine.workloads.get(name)
        if w is not None and w.unsaved:
            _reject("busy", UNSAVED.format(name=name))
        if w is None or w.phase is not Phase.PAUSED or w.storing is not None:
            _reject("busy", f"{name} is reconnecting. Try again in a minute.")

    def _begin(self, name: str, new: str, *, resume: bool) -> None:
        try:
            self._renames.begin(name, new, resume=resume)
        except OSError as error:
            raise RejectedError(rejections.bad_file(f"{error.filename} can't be written: {error.strerror}")) from None
        except NotPrivateError as error:
            raise RejectedError(rejections.bad_file(str(error))) from None

    def _abandon(self, name: str, new: str) -> None:
        try:
            self._renames.abandon(name, new)
        except (OSError, NotPrivateError) as error:
            log.warning("%s isn't renamed to %s, and this can't be recorded: %s", name, new, error)

    async def _write(self, name: str, new: str) -> None:
        from trayapp.config import editor

        paths = self._configuration.paths
        await self._configuration.in_thread(lambda: editor.rename(paths, name, new))


UNSAVED = "The login of {name} isn't saved in the keyring yet. Unlock or start your keyring, then try again."


def _with_note(error: RejectedError, note: str) -> RejectedError:
    """Say, too, what has happened all the same."""
    rejected = error.rejected
    return RejectedError(replace(rejected, message=f"{rejected.message} {note}")) if note else error


def _reject(code: str, text: str) -> NoReturn:
    raise RejectedError(Rejected(409, code, text))


def _refuse_site_file(configuration: Configuration, name: str) -> None:
    from trayapp.config import editor

    paths = configuration.paths
    if name in editor.in_site_file(paths):
        raise RejectedError(rejections.site_file(name, paths.site_config_file))
    editor.check_editable(paths)


def _is_there(configuration: Configuration, name: str) -> bool:
    """Whether config.toml has the new name although writing it has failed, after the file was replaced."""
    from trayapp.config import editor
    from trayapp.config.loader import ConfigError

    try:
        return name in editor.limited_load(configuration.paths).workloads
    except (ConfigError, OSError):
        return False
