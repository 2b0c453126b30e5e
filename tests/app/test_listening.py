"""Where the loopback server listens, with servers that do as they are told."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from trayapp.app import listening
from trayapp.app.listening import Listening, outage_of
from trayapp.core.outages import Cause, Outage
from trayapp.server.server import PortTaken
from trayapp.system.port_holder import PortHolder


@dataclass(eq=False)
class Server:
    """A loopback server. It serves the ports of `world`; 0 gets the next one from 40000 on."""

    world: World
    port: int
    accepts: bool = False
    closed: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> str:
        self.world.tried.append(self.port)
        if self.world.nothing or self.port in self.world.taken:
            raise PortTaken(self.port, OSError(self.world.code, "No"))
        self.port = self.port or 40000 + len(self.world.servers)
        self.world.servers.append(self)
        self.accepts = True
        return self.url

    async def close(self) -> None:
        self.accepts, self.closed = False, True


@dataclass
class World:
    taken: set[int] = field(default_factory=set)
    nothing: bool = False
    code: int = errno.EACCES
    wanted: int = 8765
    tried: list[int] = field(default_factory=list)
    servers: list[Server] = field(default_factory=list)
    outages: list[Outage | None] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listening = Listening(
            lambda port: Server(self, port),  # type: ignore[arg-type, return-value]
            lambda: self.wanted,
            self.outages.append,
            lambda server: None,
            self.lost.append,
            self._task,
        )

    def _task(self, what: str, work: Coroutine[Any, Any, None]) -> object:
        self.tasks.append(asyncio.create_task(work))
        return None

    async def settle(self) -> int | None:
        await self.listening.settle()
        return None if self.listening.server is None else self.listening.server.port


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Connections arrive, unless a test says otherwise."""

    async def connected(host: str, port: int) -> tuple[object, Any]:
        return object(), socket.socket()

    monkeypatch.setattr(asyncio, "open_connection", connected)
    return World()


async def test_what_is_said_once(world: World) -> None:
    """An outage that lasts is reported when it begins and when it ends."""

    world.taken = {8765}
    assert 40000 == await world.settle()
    assert 40000 == await world.settle()
    world.taken = set()
    assert 8765 == await world.settle()
    assert [Outage(8765, Cause.RESERVED, reason="No", listening=40000), None] == world.outages
    assert [8765, 0, 8765, 8765] == world.tried
    assert not world.servers[0].closed
    await world.listening.close()
    assert all(server.closed for server in world.servers)


async def test_nothing_listens(world: World) -> None:
    """That is said where commands look, and tried again."""

    world.nothing, world.code = True, errno.EMFILE
    assert await world.settle() is None
    assert [Outage(8765, Cause.FAILED, reason="No")] == world.outages
    assert ["Port 8765 can't be used (No), so clients can't connect."] == world.lost
    world.nothing = False
    assert 8765 == await world.settle()
    assert world.outages[-1] is None


async def test_any_port_will_do(world: World) -> None:
    """With 0 in the configuration whatever the system gives is right, and stays."""

    world.wanted = 0
    assert 40000 == await world.settle()
    assert 40000 == await world.settle()
    world.nothing = True
    world.servers[0].accepts = False
    assert await world.settle() is None
    assert [Outage(0, Cause.RESERVED, reason="No")] == world.outages


async def test_back_to_a_port_that_is_still_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own server would be in the way of another one."""

    monkeypatch.setattr(listening, "GRACE", 0.0)
    assert 8765 == await world.settle()
    world.wanted = 9000
    assert 9000 == await world.settle()
    world.wanted = 8765
    assert 8765 == await world.settle()
    assert [8765, 9000] == [server.port for server in world.servers]
    await asyncio.gather(*world.tasks)
    assert [False, True] == [server.closed for server in world.servers]


@pytest.mark.parametrize(
    ("error", "cause"),
    [(ConnectionRefusedError(), Cause.UNREACHABLE), (OSError(errno.ENETUNREACH, "No"), Cause.NO_LOOPBACK)],
)
async def test_connections_that_do_not_arrive(
    world: World, monkeypatch: pytest.MonkeyPatch, error: OSError, cause: Cause
) -> None:
    """A firewall, or an interface that is down. Once is not enough: the machine may have slept."""

    assert 8765 == await world.settle()

    async def blocked(host: str, port: int) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "open_connection", blocked)
        await world.settle()
        assert [] == world.outages
        assert listening.RETRY_EVERY == world.listening._wait()
        await world.settle()
        assert [Outage(8765, cause, listening=8765)] == world.outages
    await world.settle()
    assert world.outages[-1] is None


async def test_a_change_that_is_not_kept(world: World) -> None:
    """What was begun for it ends, and everything stays as it was."""

    await world.settle()

    async def refuse(port: int) -> str:
        return f"config.toml doesn't take {port}."

    assert "config.toml doesn't take 8766." == await world.listening.change(iter((8766,)), refuse)
    assert [False, True] == [server.closed for server in world.servers]
    assert "config.toml doesn't take 8765." == await world.listening.change(iter((8765,)), refuse)
    assert not world.servers[0].closed
    world.nothing = True
    assert "The system reserves port 9." == await world.listening.change(iter((9,)), refuse)


async def test_looks_go_on_after_a_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass brings the next one, at most every half minute."""

    monkeypatch.setattr(listening, "RETRY_EVERY", 0.0)
    looked, looks = asyncio.Event(), 0

    async def settle() -> None:
        nonlocal looks
        looks += 1
        looked.set()
        world.listening._due.clear()
        if looks == 1:
            raise RuntimeError("odd")

    monkeypatch.setattr(world.listening, "settle", settle)
    running = asyncio.create_task(world.listening.run())
    for _ in range(2):
        looked.clear()
        world.listening.passes()
        await asyncio.wait_for(looked.wait(), 5)
    world.listening._looked_at = asyncio.get_running_loop().time()
    world.listening.passes()
    assert not world.listening._due.is_set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.linux("elsewhere nobody knows whose a port is")
async def test_a_port_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """This user can't end that program."""

    taken = PortTaken(8765, OSError(errno.EADDRINUSE, "Address already in use"))
    monkeypatch.setattr(listening, "port_holder", lambda port: PortHolder(os.geteuid() + 1))
    assert Cause.OTHER_USER is (await outage_of(taken, None)).cause
    monkeypatch.setattr(listening, "port_holder", lambda port: None)
    assert Outage(8765, Cause.IN_USE, reason="Address already in use", listening=5) == await outage_of(taken, 5)
