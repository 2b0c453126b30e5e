"""The life of the aggregate's process: when it is started, who gets to it, how it ends, and what it never learns."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from tests import ROOT
from tests.aggregate.processes import is_running, linux
from tests.aggregate.site import Site, text_of, until
from trayapp.cli import main
from trayapp.config.paths import Paths
from trayapp.core.model import Secret
from trayapp.proxy.aggregate_process import AggregateProcessFailed, AggregateSetup, start

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
HEAD = {"Accept": "application/json, text/event-stream"}


async def post(url: str, **head: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        return await http.post(url, json=PING, headers={**HEAD, **head})


async def test_nothing_runs_before_the_first_request_with_the_key(site: Site) -> None:
    """No key, a wrong one, a workload's own, a foreign page: 403, the same words, and no process."""

    good = site.program.client.client("good")["headers"]["Authorization"]
    assert site.key  # it was made, but nobody has shown it
    wrong = [
        await post(site.url),
        await post(site.url, Authorization="Bearer wrong"),
        await post(site.url, Authorization=good),
        await post(site.url.replace("/mcp", "/k/wrong/mcp")),
        await post(site.url, Authorization=f"Bearer {site.program.client.key.reveal()}"),
    ]
    assert {403} == {answer.status_code for answer in wrong}
    assert 1 == len({answer.text for answer in wrong})
    page = await post(site.url, Authorization=f"Bearer {site.key}", Origin="https://evil.example")
    host = await post(site.url, Authorization=f"Bearer {site.key}", Host="evil.example")
    assert [403, 403] == [page.status_code, host.status_code]
    assert site.aggregate.pid is None
    async with site.modern() as client:
        await client.list_tools()
    assert site.aggregate.pid is not None


async def test_the_key_of_mcp_opens_nothing_else(site: Site) -> None:
    """Neither a workload nor the API."""

    bearer = {"Authorization": f"Bearer {site.key}"}
    assert 403 == (await post(site.url.replace("/mcp", "/w/good"), **bearer)).status_code
    assert 403 == (await post(site.url.replace("/mcp", "/api/v1beta/workloads/retry"), **bearer)).status_code


async def test_client_settings(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What the command prints for a program is enough to reach all workloads."""

    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: site.program.paths))
    assert 0 == await asyncio.to_thread(main, ["client-config", "--all", "--for", "claude-code"])
    out, err = capsys.readouterr()
    entry = json.loads(out)["mcpServers"]["amberlight"]
    assert ("http", site.url) == (entry["type"], entry["url"])
    assert "all logins" in err
    assert 200 == (await post_initialize(entry["url"], **entry["headers"])).status_code


async def post_initialize(url: str, **head: str) -> httpx2.Response:
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        return await http.post(url, json=body, headers={**HEAD, **head})


@linux
async def test_a_crash_costs_no_session(site: Site) -> None:
    """The process is killed: the next request of the same client is answered by a new one, in the same session."""

    async with site.older() as session:
        assert 10 == len((await session.list_tools()).tools)
        pid = site.aggregate.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: site.aggregate.pid is None)
        assert "good says x" == text_of(await session.call_tool("good_say", {"text": "x"}))
        assert site.aggregate.pid not in (None, pid)


@linux
async def test_a_hung_process_is_noticed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked whether it lives, killed as it does not answer, and the next request works."""

    from mcp.shared.exceptions import MCPError

    monkeypatch.setattr(site.aggregate, "_silence_limit", 0.3)
    monkeypatch.setattr(site.aggregate, "_health_limit", 0.3)
    async with site.older() as session:
        await session.list_tools()
        pid = site.aggregate.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(MCPError):
            await asyncio.wait_for(session.call_tool("good_say", {"text": "x"}), 5)
        assert not is_running(pid)
        assert "good says x" == text_of(await session.call_tool("good_say", {"text": "x"}))


async def test_a_long_call_is_no_hang(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that works in silence answers when it is asked whether it lives."""

    monkeypatch.setattr(site.aggregate, "_silence_limit", 0.1)
    async with site.older() as session:
        await session.list_tools()
        pid = site.aggregate.pid
        assert "slow is done" == text_of(await session.call_tool("good_slow", {}))
        assert pid == site.aggregate.pid


@linux
async def test_it_ends_when_nobody_uses_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without a request or an open stream; a client that comes back goes on in its session."""

    monkeypatch.setattr(site.aggregate, "_idle_limit", 0.2)
    answer = await post_initialize(site.address)
    session_id = answer.headers["Mcp-Session-Id"]
    pid = site.aggregate.pid
    assert pid is not None
    await until(lambda: site.aggregate.pid is None)
    await until(lambda: not is_running(pid))
    again = await post(site.address, **{"Mcp-Session-Id": session_id, "Mcp-Protocol-Version": "2025-06-18"})
    assert (200, True) == (again.status_code, '"result":{}' in again.text)
    monkeypatch.setattr(site.aggregate, "_idle_limit", 60.0)  # which sessions were ended is forgotten with the process
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        ended = await http.delete(site.address, headers={"Mcp-Session-Id": session_id})
    assert 200 == ended.status_code
    gone = await post(site.address, **{"Mcp-Session-Id": session_id})
    assert [404, 404] == [gone.status_code, (await post(site.address, **{"Mcp-Session-Id": "guessed"})).status_code]


@linux
async def test_an_open_stream_keeps_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that listens for news uses it."""

    monkeypatch.setattr(site.aggregate, "_idle_limit", 0.2)
    async with site.older() as session:
        await session.list_tools()
        pid = site.aggregate.pid
        await asyncio.sleep(1.0)
        assert pid == site.aggregate.pid


async def test_a_process_that_does_not_start(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with the reason and when to come again; it is not tried at every request."""

    tries = []

    async def begin(setup: AggregateSetup) -> Any:
        tries.append(setup)
        raise AggregateProcessFailed("Its process ended: ImportError: no such thing")

    await end_process(site)
    monkeypatch.setattr(site.aggregate, "_start_process", begin)
    answers = [await post(site.address) for _ in range(3)]
    assert {503} == {answer.status_code for answer in answers}
    assert {"5"} == {answer.headers["Retry-After"] for answer in answers}
    assert "ImportError" in answers[0].json()["error"]["message"]
    assert 1 == len(tries)
    site.aggregate._failed_start = (float("-inf"), "")


async def end_process(site: Site) -> None:
    """End the process, from the test's own loop."""
    assert site.program.app is not None
    loop = site.program.app._loop
    assert loop is not None
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(site.aggregate._end_process(), loop))


async def test_a_program_that_says_nonsense_is_no_process_of_ours() -> None:
    """What it said last is the reason; one that is started by hand says what it is."""

    setup = AggregateSetup("http://127.0.0.1:1", Secret("k"), Secret("s"))
    with pytest.raises(AggregateProcessFailed, match="ValueError: broken"):
        await start(setup, command=("-c", "raise ValueError('broken')"))
    with pytest.raises(AggregateProcessFailed, match="ModuleNotFoundError: No module named 'no_such_sdk'"):
        await start(setup, command=("-c", "import no_such_sdk"))
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "trayapp.aggregate"], input=b"hello\n", capture_output=True, cwd=ROOT
    )
    assert (2, True) == (done.returncode, b"not by hand" in done.stderr)


async def test_a_client_without_patience_does_not_end_the_start(site: Site) -> None:
    """It hangs up while the process starts: the next one finds it started."""

    await end_process(site)
    began: list[AggregateSetup] = []
    begin = site.aggregate._start_process

    async def slowly(setup: AggregateSetup) -> Any:
        began.append(setup)
        child = await begin(setup)
        await asyncio.sleep(0.3)
        return child

    site.aggregate._start_process = slowly
    try:
        host = site.url.removeprefix("http://").removesuffix("/mcp")
        _, writer = await asyncio.open_connection(*host.split(":"))
        bearer = f"Authorization: Bearer {site.key}"
        writer.write(f"POST /mcp HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\nContent-Length: 0\r\n\r\n".encode())
        await until(lambda: began)
        writer.close()
        await writer.wait_closed()
        await until(lambda: site.aggregate.pid is not None)
        assert 200 == (await post_initialize(site.address)).status_code
        assert 1 == len(began)
    finally:
        site.aggregate._start_process = begin


_PARENT = """
import asyncio
from trayapp.core.model import Secret
from trayapp.proxy.aggregate_process import AggregateSetup, start
async def main():
    child = await start(AggregateSetup("http://127.0.0.1:1", Secret("k"), Secret("s")))
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@linux
@pytest.mark.parametrize("hung", [False, True])
async def test_it_ends_with_the_app_however_that_ends(hung: bool) -> None:
    """The app is killed without a word: the process is gone within seconds; if it was stopped, once it goes on."""

    parent = await asyncio.create_subprocess_exec(*(sys.executable, "-c", _PARENT), stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    assert is_running(pid)
    if hung:
        os.kill(pid, signal.SIGSTOP)
    parent.kill()
    await parent.wait()
    if hung:
        os.kill(pid, signal.SIGCONT)
    await until(lambda: not is_running(pid), limit=5)


_UNUSED = """
import json, sys, tempfile, threading, urllib.request, urllib.error
from pathlib import Path
from tests.app.test_runtime import Program
from trayapp.cli.client import ApiClient
with tempfile.TemporaryDirectory() as root:
    program = Program(Path(root))
    program.write("[settings]\\nport = 0\\n")
    with program:
        url = ApiClient.find(program.paths.runtime_dir)
        try:
            urllib.request.urlopen(f"http://{url.host}:{url.port}/mcp", b"{}")
        except urllib.error.HTTPError as error:
            status = error.code
        url.aggregate()
        found = sorted(name for name in sys.modules if name.partition(".")[0] in ("mcp", "mcp_types", "uvicorn",
            "pydantic", "starlette") or name.startswith("trayapp.aggregate"))
print(json.dumps([status, found]))
"""


async def test_the_app_never_loads_its_libraries() -> None:
    """Nothing of the SDK and nothing of the aggregate's own package is in the app's process, asked for or not."""

    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", _UNUSED], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert 0 == done.returncode, done.stderr[-2000:]
    assert [403, []] == json.loads(done.stdout)


async def test_it_follows_to_another_port(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process asks our own server, which has moved: the next request gets another process."""

    monkeypatch.setattr("trayapp.app.listening.GRACE", 5.0)  # the move is answered at the former port
    async with site.modern() as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
    before = site.aggregate.pid
    moved = await asyncio.to_thread(site.program.client.request, "POST", "/api/v1beta/port", {})
    assert site.url.startswith(f"http://127.0.0.1:{moved['port']}/")
    async with site.modern() as client:
        assert tools == {tool.name for tool in (await client.list_tools()).tools}
    assert site.aggregate.pid not in (None, before)
