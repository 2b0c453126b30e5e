"""What the loopback API may ask of the app (`api.api.AppControl`). It runs on the engine's loop, like the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from trayapp.api.controls import RejectedWorkload
from trayapp.app import add_workload
from trayapp.core.checks import Report
from trayapp.core.client_settings import ClientAccess
from trayapp.core.metrics import Counters
from trayapp.core.model import AccessToken, Problem, Secret, Spec
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Snapshot, Unavailable

if TYPE_CHECKING:
    from trayapp.app.runtime import Runtime

FORGET_LIMIT = 30.0  # s; revoking takes at most 10
FORGET_LOOK = 0.2  # s


class AppControl:
    """The API's view of the running app."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.engine = runtime.engine

    @property
    def started_at(self) -> float:
        """Wall."""
        return self._runtime.started_at

    def snapshot(self) -> Snapshot:
        """Everything public, now."""
        return self.engine.snapshot()

    def spec(self, name: str) -> Spec | None:
        """How a workload is configured."""
        found = self.engine.workloads.get(name)
        return None if found is None else found.spec

    def post(self, action: Action) -> None:
        """A click."""
        self.engine.post(action)

    async def token(self, name: str, min_validity: float, wait: float) -> AccessToken | Unavailable:
        """M15."""
        return await self.engine.callers.token(name, min_validity, wait)

    def client(self, name: str) -> ClientAccess | None:
        """How a program on this machine reaches it."""
        return self._runtime.client_access(name)

    def aggregate(self) -> ClientAccess | None:
        """How a program on this machine reaches all workloads at once."""
        return self._runtime.aggregate_access()

    def counted(self) -> Counters:
        """For `/metrics`."""
        refreshes, refusals = self.engine.effects.refreshes, self.engine.callers.refusals
        return Counters(refreshes, refusals, self._runtime.proxy.answered, self._runtime.events.readers)

    async def reauthorize(self, name: str, *, browser: bool, accept: bool, flow: str = "") -> str | Problem | None:
        """The authorization URL; None where a pending login was accepted."""
        return await self.engine.sign_ins.begin(name, browser=browser, accept=accept, flow=flow) or None

    def cancel_sign_in(self, name: str) -> None:
        """Nobody waits for it any longer."""
        self.engine.sign_ins.cancel(name)

    def steps(self, name: str) -> tuple[str, ...]:
        """What its newest sign-in has found and done."""
        return self._runtime.sign_in.steps(name)

    async def set_secret(self, name: str, secret: Secret | None) -> Problem | None:
        """It goes to the keyring, and into the next sign-in."""
        spec = self.spec(name)
        if secret is not None and (spec is None or not spec.client_id):
            return Problem("no_client_id", f"{name} has no client_id that a secret could belong to: set one first.")
        trouble = await self._runtime.sign_in.set_secret(name, secret)
        return None if trouble is None else Problem("keyring", f"The keyring did not keep it ({trouble}).")

    def paste(self, name: str, url: str) -> Problem | None:
        """A redirect that a person copied."""
        return self.engine.sign_ins.paste(name, url)

    async def remove(self, name: str) -> bool:
        """Revoke, delete, forget. Whoever asks takes it out of the file as well."""
        if name not in self.engine.workloads:
            return False
        self.engine.post(Action(Verb.REMOVE, name))
        self._runtime.keys.forget(name)
        self.engine.task(f"forget the client of {name}", self._forget_client(name))
        return True

    async def _forget_client(self, name: str) -> None:
        """When the workload is gone: revoking its login still needs the client."""
        until = self.engine.now().at + FORGET_LIMIT
        while name in self.engine.workloads:
            if self.engine.now().at > until:
                return  # it came back under the same name
            await asyncio.sleep(FORGET_LOOK)
        await self._runtime.sign_in.forget(name)

    async def add(self, name: str, keys: Mapping[str, object]) -> RejectedWorkload | None:
        """Into the configuration, and from there into the engine."""
        return await add_workload.add(self._runtime, name, keys)

    async def reload(self) -> tuple[list[str], list[str]]:
        """Read the configuration again."""
        return self._runtime.read_configuration()

    def sources(self) -> list[str]:
        """Who tells of network and sleep now."""
        return self._runtime.sources()

    async def report(self) -> Report:
        """What only the running app knows."""
        return await self._runtime.report()

    def quit(self) -> None:
        """End the program soon."""
        self._runtime.quit()

    def created_at(self, name: str) -> float:
        """Wall."""
        return self.engine.created.get(name, self._runtime.started_at)
