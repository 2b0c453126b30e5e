"""The running app as the API sees it: implements the Protocol `api.controls.Control`, on the engine's loop."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from trayapp.api.controls import (
    Draft,
    Edited,
    GivenBack,
    Moved,
    PortChanged,
    Rejected,
    Removed,
    SettingsTable,
    TakeOverPlan,
)
from trayapp.app.client_files import NO_PROXY, ClientFiles
from trayapp.app.configuration_edits import ConfigurationEdits
from trayapp.app.external import ExternalWatch
from trayapp.core import answered, messages
from trayapp.core.advice import advice
from trayapp.core.answered import Answered
from trayapp.core.checks import Report
from trayapp.core.client_settings import ClientAccess
from trayapp.core.labels import label
from trayapp.core.metrics import Counters
from trayapp.core.model import ACCOUNT, AccessToken, Problem, Secret, Spec, Trouble
from trayapp.core.presentation import Action
from trayapp.core.sentences import sign_in_outdated
from trayapp.core.snapshot import Snapshot, Unavailable
from trayapp.engine.engine import Engine

if TYPE_CHECKING:
    from trayapp.clients.connecting import Change, Row
    from trayapp.clients.table import Client
    from trayapp.importers.offers import Offer


class SignInRecords(Protocol):
    """What sign-ins keep beside the login: `oauth.lazy_sign_in`."""

    def steps(self, name: str) -> tuple[str, ...]:
        """What the newest sign-in has found and done, step by step."""
        ...

    def registered(self, name: str) -> bool:
        """Whether it uses a client that Amberlight registered."""
        ...

    def register_again(self, name: str) -> None:
        """Have the next sign-in register a client of its own."""
        ...

    async def set_secret(self, name: str, secret: Secret | None) -> Trouble | None:
        """Keep a client secret, or delete it."""
        ...


@dataclass(frozen=True, slots=True)
class AppCalls:
    """What the API needs of the app beside the engine and sign-ins."""

    client: Callable[[str], Awaitable[ClientAccess | None]]
    clients: Callable[[Sequence[str]], Awaitable[list[ClientAccess] | None]]
    aggregate: Callable[[], ClientAccess | None]
    client_files: ClientFiles
    counted: Callable[[], Counters]
    read_configuration: Callable[[], Awaitable[tuple[list[str], list[str]]]]
    sources: Callable[[], list[str]]
    report: Callable[[], Awaitable[Report]]
    edits: ConfigurationEdits
    change_port: Callable[[int | None], Awaitable[PortChanged | Problem]]
    external: ExternalWatch
    quit: Callable[[], None]


class AppControl:
    """Answers the API. `started_at` is wall seconds.

    It takes the whole engine: a Protocol of what it uses would be as long as the engine's public part.
    """

    def __init__(self, engine: Engine, sign_in: SignInRecords, app: AppCalls, *, started_at: float) -> None:
        self.engine = engine
        self.started_at = started_at
        self._sign_in = sign_in
        self._app = app

    def snapshot(self) -> Snapshot:
        """Everything public as it is now."""
        return self.engine.snapshot()

    def spec(self, name: str) -> Spec | None:
        """How a workload is configured."""
        return self.engine.spec(name)

    def post(self, action: Action) -> None:
        """Post a click to the engine."""
        self.engine.post(action)

    async def token(self, name: str, min_validity: float, wait: float) -> AccessToken | Unavailable:
        """A token with `min_validity` seconds of life, waiting at most `wait` seconds, or why there is none (M15)."""
        return await self.engine.callers.token(name, min_validity, wait)

    def token_used(self, name: str, token: Secret, *, accepted: bool) -> None:
        """A server took this token, or didn't; any but the present one says nothing about the login."""
        found = self.engine.workloads.get(name)
        if found is None or found.access is None:
            return
        access, now = found.access, self.engine.now()
        if hmac.compare_digest(access.value.reveal().encode(), token.reveal().encode("utf-8", "surrogatepass")):
            self.engine.apply(name, messages.Accepted(now) if accepted else messages.Rejected(now, access.serial, ""))

    async def client(self, name: str) -> ClientAccess | None:
        """How a client on this machine reaches it."""
        return await self._app.client(name)

    async def clients(self, names: Sequence[str]) -> list[ClientAccess] | None:
        """How a client on this machine reaches each of them."""
        return await self._app.clients(names)

    def aggregate(self) -> ClientAccess | None:
        """How a client on this machine reaches all workloads at one URL."""
        return self._app.aggregate()

    async def survey_clients(self) -> list[Row] | Problem:
        """Each client of the table, with what it has of each workload."""
        return await self._app.client_files.survey()

    async def connect_client(self, client: Client, names: Sequence[str], *, replace: bool) -> Change | Problem:
        """Write entries for these workloads into the client's file."""
        return await self._app.client_files.connect(client, names, replace=replace)

    async def disconnect_client(self, client: Client, names: Sequence[str]) -> Change | Problem:
        """Take our entries for these workloads out of the client's file."""
        return await self._app.client_files.disconnect(client, names)

    def counted(self) -> Counters:
        """The counters of `/metrics`."""
        return self._app.counted()

    async def reauthorize(self, name: str, *, browser: bool, accept: bool, flow: str = "") -> str | Problem | None:
        """The authorization URL; None where a pending login was accepted."""
        return await self.engine.sign_ins.begin(name, browser=browser, accept=accept, flow=flow) or None

    def cancel_sign_in(self, name: str, *, register: bool = False) -> None:
        """End the sign-in under way, if there is one; with `register` the next one registers again."""
        if register:
            self._sign_in.register_again(name)
        self.engine.sign_ins.cancel(name)

    def registered(self, name: str) -> bool:
        """Whether its newest sign-in uses a client that Amberlight registered."""
        return self._sign_in.registered(name)

    def steps(self, name: str) -> tuple[str, ...]:
        """What its newest sign-in has found and done."""
        return self._sign_in.steps(name)

    async def set_secret(self, name: str, secret: Secret | None) -> Problem | None:
        """Keep a client secret in the keyring, for the next sign-in."""
        spec = self.spec(name)
        if secret is not None and (spec is None or not spec.client_id):
            return Problem("no_client_id", f"{name} has no client_id for a secret to belong to. Set one first.")
        trouble = await self._sign_in.set_secret(name, secret)
        return None if trouble is None else Problem("keyring", f"Couldn't save the secret in the keyring ({trouble}).")

    def paste(self, name: str, url: str) -> Problem | None:
        """Take a redirect URL that a person copied; None if the flow accepted it."""
        return self.engine.sign_ins.paste(name, url)

    async def remove(self, names: Sequence[str]) -> Removed:
        """Revoke and delete the logins and their records, and take the workloads out of the configuration."""
        return await self._app.edits.removing.remove(names)

    async def add(self, draft: Draft) -> str | Rejected:
        """Write a workload into the configuration and load it from there."""
        return await self._app.edits.editing.add(draft)

    async def edit(self, name: str, draft: Draft) -> Edited | Rejected:
        """Change a workload in the configuration, its name too."""
        return await self._app.edits.editing.edit(name, draft)

    async def settings(self, name: str = "") -> SettingsTable | Rejected:
        """The settings of the app, or of a workload."""
        return await (self._app.edits.editing.settings(name) if name else self._app.edits.settings.table())

    async def change_settings(self, changes: Mapping[str, object], revision: str) -> SettingsTable | Rejected:
        """Change settings of the app."""
        return await self._app.edits.settings.change(changes, revision)

    async def offers(self) -> list[Offer] | Problem:
        """Servers of installed clients and ToolHive that aren't workloads yet."""
        return await self._app.client_files.offers()

    async def check(self, name: str) -> Answered | Problem:
        """Ask it for its tools, as a client does."""
        view = self.engine.view_of(name)
        if view is not None and not view.auth.usable:
            return answered.not_connected(name, label(view), advice(view)[1])
        if view is not None and view.kind == ACCOUNT:
            return answered.account(name)
        access = await self._app.client(name)
        if access is None:
            return NO_PROXY
        from trayapp.app.tools_check import check  # here, as few runs of the app need it

        return await check(name, access)

    def external_problems(self) -> list[str]:
        """Why other programs' workloads are missing or out of date."""
        return self._app.external.problems()

    def missing_external(self, name: str) -> Problem:
        """Why no workload of another program is named `OWNER/NAME`, or none is seen."""
        return self._app.external.missing(name)

    async def restart_external(self, name: str) -> Problem | None:
        """Have another program restart its workload `OWNER/NAME`."""
        return await self._app.external.restart(name)

    async def plan_take_over(self, theirs: str, name: str = "") -> TakeOverPlan | Rejected:
        """What taking over another program's workload would change."""
        return await self._app.edits.take_over.plan(theirs, name)

    async def take_over(self, theirs: str, name: str = "", *, browser: bool, sign_in: bool) -> Moved | Rejected:
        """Move it here."""
        return await self._app.edits.take_over.take(theirs, name, browser=browser, sign_in=sign_in)

    async def taken_over_from(self, name: str) -> str | None:
        """The title of the program that had it before a take-over."""
        return await self._app.edits.taken_over_from(name)

    async def give_back(self, name: str) -> GivenBack | Rejected:
        """Move it back."""
        return await self._app.edits.take_over.give_back(name)

    async def change_port(self, port: int | None) -> PortChanged | Problem:
        """Move the loopback server."""
        return await self._app.change_port(port)

    async def reload(self) -> tuple[list[str], list[str]]:
        """Read the configuration again. Returns errors and warnings."""
        errors, warnings = await self._app.read_configuration()
        return errors, [*warnings, *map(sign_in_outdated, self.engine.sign_ins.outdated())]

    def sources(self) -> list[str]:
        """The event sources that report network and sleep now."""
        return self._app.sources()

    async def report(self) -> Report:
        """The checks that only the running app can make."""
        return await self._app.report()

    def quit(self) -> None:
        """End the program soon."""
        self._app.quit()

    def created_at(self, name: str) -> float:
        """When the workload was added in this run, in wall seconds."""
        return self.engine.created.get(name, self.started_at)
