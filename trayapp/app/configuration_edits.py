"""All that edits the configuration, built together: workloads are added, changed, renamed and removed, settings changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from trayapp.api.controls import PortChanged
from trayapp.app.app_settings import AppSettings
from trayapp.app.editing import Configuration, Editing
from trayapp.app.removing import Removing
from trayapp.app.renames import Renames
from trayapp.app.renaming import Renaming
from trayapp.app.start_at_login import StartAtLogin
from trayapp.core.model import Problem
from trayapp.oauth.lazy_sign_in import LazySignIn
from trayapp.server.keys import Keys
from trayapp.storage.journal import Journal
from trayapp.vault.keystore import Keystore, MemoryKeystore

if TYPE_CHECKING:
    from trayapp.app.take_over import MovableEntries, Others, TakeOver
    from trayapp.engine.engine import Engine

    class ClientEntries(MovableEntries, Protocol):
        """Entries in clients' files: `client_files.py`. Each returns what was done and what is left, a sentence each."""

        async def repoint(self, name: str, new: str) -> Sequence[str]: ...

        async def take_out(self, names: Sequence[str]) -> Sequence[str]: ...

    class OtherPrograms(Others, Protocol):
        """Other programs: `external.py`. It asks which workload here has taken the place of theirs."""

        taken_over_as: Callable[[str], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class AppHooks:
    """What edits need of the app's other parts: `clients` changes clients' entries, `forget_endpoint` ends what clients
    had at an address, `muted` and `mute` are about notifications now. `activity` takes a workload and its new name, or
    none if it is gone. `change_port` moves the local server. `others` are other programs' workloads."""

    clients: ClientEntries
    others: OtherPrograms
    forget_endpoint: Callable[[str], None]
    muted: Callable[[], bool]
    mute: Callable[[], None]
    activity: Callable[[str, str], None]
    change_port: Callable[[int], Awaitable[PortChanged | Problem]]


class ConfigurationEdits:
    """Belongs to the engine's loop."""

    def __init__(
        self,
        configuration: Configuration,
        engine: Engine,
        sign_in: LazySignIn,
        keystore: Keystore | MemoryKeystore,
        journal: Journal,
        keys: Keys,
        at_login: StartAtLogin,
        hooks: AppHooks,
    ) -> None:
        self._keys = keys
        self._sign_in = sign_in
        self._hooks = hooks
        self._engine = engine
        self._configuration = configuration
        self.renames = Renames(configuration.paths.renames_file, keystore, journal, self._renamed)
        renaming = Renaming(engine, configuration, self.renames, keystore, hooks.clients.repoint, hooks.forget_endpoint)
        self.editing = Editing(engine, configuration, sign_in, renaming.rename)
        self.removing = Removing(
            engine,
            configuration,
            self._forget_client_data,
            sign_in.forget,
            self.renames.concerns,
            hooks.clients.take_out,
        )
        self.settings = AppSettings(configuration, at_login, hooks.muted, hooks.mute, hooks.change_port)
        engine.effects.before_reading = self.renames.complete
        engine.effects.removals.on_deleted = sign_in.forget
        hooks.others.taken_over_as = lambda theirs: self.take_over.name_here(theirs)

    @cached_property
    def take_over(self) -> TakeOver:
        """Loaded when somebody takes a workload over, or renames one: few do, and every app would have it in memory."""
        from trayapp.app.take_over import TakeOver

        return TakeOver(
            self._hooks.others,
            self._hooks.clients,
            self._engine,
            self.editing.add,
            self.removing.remove,
            lambda name, browser: self._engine.sign_ins.begin(name, browser=browser, accept=False),
            self._configuration.paths.state_dir,
        )

    async def taken_over_from(self, name: str) -> str | None:
        """The title of the program that a workload was taken over from, if it was."""
        from trayapp.app.taken_over_from import taken_over_from

        spec = self._engine.spec(name)
        return None if spec is None else await taken_over_from(spec, self._configuration.paths.state_dir)

    def configured(self, names: Collection[str]) -> None:
        """config.toml names these workloads, which the engine takes next."""
        self.renames.configured(names)

    def _renamed(self, name: str, new: str) -> None:
        self._keys.rename(name, new)
        self._sign_in.rename(name, new)
        self._hooks.activity(name, new)
        self.take_over.renamed(name, new)

    def _forget_client_data(self, names: Sequence[str]) -> None:
        self._keys.forget(*names)
        for name in names:
            self._hooks.forget_endpoint(name)
            self._hooks.activity(name, "")
