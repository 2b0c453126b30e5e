"""The MCP endpoint over all workloads, with official clients: server-everything by both transports, and a red one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.aggregate.processes import is_running, linux, public_data
from tests.aggregate.site import HEAD, WORKLOAD, text_of, tool_names, until
from tests.app.test_runtime import Program
from tests.engine.engines import login_of
from tests.real import node
from tests.real.app import App
from tests.real.everything import Guard, everything_by, guarded
from trayapp.cli.client import ApiClient as Command
from trayapp.cli.client import NotRunningError
from trayapp.core.presentation import Verb
from trayapp.oauthtest import EchoWorkload, Mode, OAuthServer

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

TOOL = "trigger-long-running-operation"
TRANSPORTS = {"web": "streamableHttp", "older": "sse"}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """server-everything, one process for each transport."""
    with everything_by(TRANSPORTS) as urls:
        yield urls


class World:
    """The program with `web`, `older` and `red`."""

    def __init__(self, program: Program, authorities: dict[str, OAuthServer], guards: dict[str, Guard]) -> None:
        self.program = program
        self.authorities = authorities
        self.guards = guards
        self.access = program.client.aggregate()

    @property
    def address(self) -> str:
        """With the key in it."""
        key = self.access["headers"]["Authorization"].removeprefix("Bearer ")
        return str(self.access["url"].replace("/mcp", f"/k/{key}/mcp"))

    async def becomes(self, name: str, word: str) -> None:
        await until(lambda: self.program.status(name).startswith(f"{word} "), f"{name} to be {word}")

    async def breaks(self, name: str, mode: Mode) -> None:
        """Its token is taken no more, and there is no other one; somebody's call finds out."""
        self.authorities[name].mode = mode
        self.guards[name].distrust = 1000

    async def heals(self, name: str) -> None:
        self.guards[name].distrust = 0
        self.authorities[name].mode = Mode.SUCCESS
        self.program.act(Verb.RETRY, name)
        await self.becomes(name, "running")


@contextlib.asynccontextmanager
async def world(servers: dict[str, str], path: Path) -> AsyncIterator[World]:
    """Everything is signed in but `red`, whose login was revoked."""
    program = Program(path)
    async with contextlib.AsyncExitStack() as stack:
        text = HEAD.format(tick="40s")
        authorities = {name: stack.enter_context(OAuthServer()) for name in (*TRANSPORTS, "red")}
        guards = {
            name: await stack.enter_async_context(guarded(authorities[name], servers[name])) for name in TRANSPORTS
        }
        echo = stack.enter_context(EchoWorkload(authorities["red"]))
        for name, authority in authorities.items():
            url = guards[name].url if name in guards else echo.url
            text += WORKLOAD.format(name=name, url=url, server=authority)
            program.keystore._logins[name] = login_of(authority, name)
        authorities["red"].mode = Mode.INVALID_GRANT
        program.write(text)
        stack.enter_context(program)
        made = World(program, authorities, guards)
        for name in TRANSPORTS:
            await made.becomes(name, "running")
        await made.becomes("red", "unauthenticated")
        yield made


@contextlib.asynccontextmanager
async def connected(world: World, **more: Any) -> AsyncIterator[Any]:
    """The Python client's session, with the settings that `client-config --all` gives."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers=world.access["headers"], timeout=30, trust_env=False) as http,
        streamable_http_client(world.access["url"], http_client=http) as (reader, writer),
        ClientSession(reader, writer, **more) as session,
    ):
        await session.initialize()
        yield session


async def work(session: Any, name: str) -> None:
    """A call whose progress has to come while it runs."""
    began, seen = time.monotonic(), list[float]()

    async def progress(done: float, total: float | None, text: str | None) -> None:
        seen.append(time.monotonic() - began)

    result = await session.call_tool(f"{name}_{TOOL}", {"duration": 1.6, "steps": 4}, progress_callback=progress)
    assert "completed" in text_of(result)
    assert len(seen) >= 3
    assert seen[0] < 1.2  # live: the first step takes 0.4 s, and all of them 1.6


async def test_three_workloads_and_one_client(servers: dict[str, str], tmp_path: Path) -> None:
    """Both transports work; amber and red are told apart at once, and a session sees them heal."""

    async with world(servers, tmp_path) as made, connected(made) as session:
        names = tool_names(await session.list_tools())
        assert {"web", "older"} == {name.partition("_")[0] for name in names}
        assert f"older_{TOOL}" in names
        for name in TRANSPORTS:
            await work(session, name)
        red = await session.call_tool("red_echo", {"message": "x"})
        assert (True, True) == (red.is_error, "amberlight reauthorize red" in text_of(red))

        for name in TRANSPORTS:  # by the older transport too, where a refused message has no answer of its own
            await made.breaks(name, Mode.FIREWALL)
            began = time.monotonic()
            result = await asyncio.wait_for(session.call_tool(f"{name}_echo", {"message": "x"}), 15)
            assert result.is_error, text_of(result)
            await made.becomes(name, "auth_retrying")
            began = time.monotonic()
            result = await session.call_tool(f"{name}_echo", {"message": "x"})
            assert "Try again in" in text_of(result)
            assert time.monotonic() - began < 1.0
        assert names == tool_names(await session.list_tools())

        for name in TRANSPORTS:
            await made.heals(name)
            await answers(session, name)
            await work(session, name)
        made.authorities["red"].mode = Mode.SUCCESS
        made.program.keystore._logins["red"] = login_of(made.authorities["red"], "red")
        made.program.act(Verb.RETRY, "red")
        await made.becomes("red", "running")
        await answers(session, "red")
        assert names | {"red_echo"} == tool_names(await session.list_tools())


async def answers(session: Any, name: str) -> None:
    """The news of a workload that healed may be a moment on its way."""
    end = time.monotonic() + 10
    while (result := await session.call_tool(f"{name}_echo", {"message": "back"})).is_error:
        assert time.monotonic() < end, text_of(result)
        await asyncio.sleep(0.1)
    assert "back" in text_of(result)


async def test_the_high_level_client_with_nothing_but_an_address(servers: dict[str, str], tmp_path: Path) -> None:
    """One URL with the key in its path, spoken to as 2026-07-28 wants it."""

    from mcp.client import Client

    async with world(servers, tmp_path) as made, Client(made.address) as client:
        assert len((await client.list_tools()).tools) > 10
        for name in TRANSPORTS:
            await work(client, name)
        templates = (await client.list_resource_templates()).resource_templates
        assert all(template.uri_template.startswith("amberlight://") for template in templates)
        prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
        assert {"web", "older"} == {name.partition("_")[0] for name in prompts}


@pytest.mark.parametrize("in_path", [True, False])
async def test_the_npm_client(in_path: bool, servers: dict[str, str], tmp_path: Path) -> None:
    """The TypeScript SDK lists, calls with live progress and ends; it starts no sign-in of its own."""

    async with world(servers, tmp_path) as made:
        key = "" if in_path else made.access["headers"]["Authorization"].removeprefix("Bearer ")
        url = made.address if in_path else made.access["url"]
        process = await asyncio.create_subprocess_exec(
            str(node.node()),
            str(Path(__file__).with_name("client.mjs")),
            *(str(node.packages()), "streamableHttp", url, key, "2", f"web_{TOOL}"),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        found = json.loads(out)
        assert (None, []) == (found["error"], found["flow"])
        assert found["tools"] > 10
        assert 2 == len(found["texts"])
        assert len(found["progress"]) >= 6


@linux
async def test_the_program_is_killed(tmp_path: Path) -> None:
    """SIGKILL to the app: the process of /mcp is gone within seconds, and the next start has one of its own."""

    home = {f"XDG_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "DATA", "CACHE")}
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}
    environment = kept | home | {"XDG_RUNTIME_DIR": str(runtime)}
    for _ in range(2):
        app = App(environment, tmp_path, "real", "--no-tray")
        app.configure("[settings]\nport = 0\n")
        with app:
            access = (await until_up(runtime / "amberlight")).aggregate()
            body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            head = {**access["headers"], "Accept": "application/json, text/event-stream", "Mcp-Session-Id": "0" * 32}
            async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
                assert 200 == (await http.post(access["url"], json=body, headers=head)).status_code
            children = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent(pid) == app.pid]
            (pid,) = [each for each in children if b"trayapp.aggregate" in public_data(each)]
            assert access["headers"]["Authorization"][7:].encode() not in public_data(pid)
            app.kill()
            await until(lambda pid=pid: not is_running(pid), limit=10)  # type: ignore[misc]


async def until_up(runtime_dir: Path) -> Command:
    """The app can be asked."""
    end = time.monotonic() + 30
    while True:
        try:
            return Command.find(runtime_dir)
        except NotRunningError:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)


def parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0
