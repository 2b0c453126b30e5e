"""The URL and the local key by which a client on this machine reaches one workload, or all at one URL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

from trayapp.autostart import client_command
from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import ACCOUNT, Spec
from trayapp.proxy import aggregate
from trayapp.server.keys import Keys
from trayapp.server.server import LoopbackServer


class ClientAddresses:
    """Works out `ClientAccess` values. `server` gives None while nothing listens; `port` is the configured port;
    `speaks_sse` says whether a workload's server speaks HTTP with SSE."""

    def __init__(
        self,
        server: Callable[[], LoopbackServer | None],
        port: Callable[[], int],
        spec: Callable[[str], Spec | None],
        keys: Keys,
        speaks_sse: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._server = server
        self._port = port
        self._any_spec = spec
        self._keys = keys
        self._speaks_sse = speaks_sse

    def _spec(self, name: str) -> Spec | None:
        """The workload, if it has an address."""
        spec = self._any_spec(name)
        return None if spec is None or spec.kind == ACCOUNT else spec

    def make_keys(self, specs: Collection[Spec]) -> None:
        """The configured workloads have their keys: `amberlight stdio` reads them, and has no way to ask for one."""
        if specs:
            names = [spec.name for spec in specs if spec.require_key and spec.kind != ACCOUNT]
            self._keys.make([aggregate.KEY, *names])

    def workload(self, name: str, program: tuple[str, ...] = ()) -> ClientAccess | None:
        """How a client reaches this workload; None while nothing listens, or without such a workload.

        `program` is our command, for whoever needs it often: looking for it takes a millisecond.
        """
        server, spec = self._server(), self._spec(name)
        if server is None or spec is None:
            return None
        key = self._keys.key(name) if spec.require_key else None
        command = (*(program or client_command("stdio")), name)
        return ClientAccess(name, f"{server.url}/w/{name}", key, self._is_lasting(server), command=command)

    async def transport(self, name: str, program: tuple[str, ...] = ()) -> ClientAccess | None:
        """The same, with the transport that the workload's server speaks; asks the server if nobody knows."""
        access = self.workload(name, program)
        return None if access is None else replace(access, sse=await self._speaks_sse(name))

    async def several(self, names: Sequence[str]) -> list[ClientAccess] | None:
        """The same for several workloads, whose keys are made in one write; None while nothing listens."""
        if (found := self.all_known(names)) is None:
            return None
        spoken = await asyncio.gather(*(self._speaks_sse(each.name) for each in found))
        return [replace(each, sse=sse) for each, sse in zip(found, spoken, strict=True)]

    def all_known(self, names: Sequence[str]) -> list[ClientAccess] | None:
        """The same without asking any server for its transport."""
        specs = [spec for name in names if (spec := self._spec(name)) is not None]
        self._keys.make([spec.name for spec in specs if spec.require_key])
        program = client_command("stdio")
        found = [self.workload(spec.name, program) for spec in specs]
        return [each for each in found if each is not None] if self._server() is not None else None

    def lasting(self) -> bool:
        """Whether the addresses are the same after a restart."""
        server = self._server()
        return server is not None and self._is_lasting(server)

    def aggregate(self) -> ClientAccess | None:
        """How a client reaches all workloads at one URL; None while nothing listens."""
        if (server := self._server()) is None:
            return None
        key = self._keys.key(aggregate.KEY)
        url, command = f"{server.url}{aggregate.PATH}", client_command("stdio", "--all")
        return ClientAccess("amberlight", url, key, self._is_lasting(server), command=command)

    def _is_lasting(self, server: LoopbackServer) -> bool:
        """Whether the URL will be the same after a restart: only on the configured port."""
        return server.port == self._port()
