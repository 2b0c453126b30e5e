"""Who may connect to the loopback server, how many, and for how long in silence: real users and network namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.server.test_server import talk
from trayapp.server import peers
from trayapp.server.connections import LINGER, LINGERING_MAX
from trayapp.server.peers import Owner, owner_of
from trayapp.server.server import LoopbackServer

linux = pytest.mark.linux("only Linux says whose a connection is")
root = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root becomes another user")
OTHER = 65534

FLOOD = """
import selectors, socket, sys
watched, where = selectors.DefaultSelector(), ("127.0.0.1", int(sys.argv[1]))
def connect():
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(where)
    watched.register(one, selectors.EVENT_READ)
for _ in range(600):
    connect()
count = 0
while True:
    for key, _ in watched.select():
        try:
            ended = not key.fileobj.recv(4096)
        except OSError:
            ended = True
        if ended:
            count += 1
            if count == 300:  # whatever the server does against it, it does it now
                print(flush=True)
            watched.unregister(key.fileobj)
            key.fileobj.close()
            connect()
"""
ASK = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as one:
    for part in sys.argv[2].split("|"):
        one.sendall(part.encode().decode("unicode_escape").encode())
    sys.stdout.buffer.write(b"".join(iter(lambda: one.recv(4096), b"")))
"""


async def _whose(request: web.Request) -> web.Response:
    return web.json_response({"owner": owner_of(request).value})


def make(directory: Path, **options: Any) -> LoopbackServer:
    return LoopbackServer(
        port=0,
        runtime_dir=directory,
        version="0",
        routes=[web.get("/api", _whose)],
        open_routes=[web.get("/open", _whose)],
        pages=[web.get("/page", _whose)],
        **options,
    )


@contextlib.asynccontextmanager
async def serving(directory: Path, **options: Any) -> AsyncIterator[LoopbackServer]:
    server = make(directory, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def get(server: LoopbackServer, path: str, *, more: str = "") -> str:
    key = server.api_key.reveal()
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {key}\r\n"
        f"Connection: close\r\n{more}\r\n"
    )


async def as_other(server: LoopbackServer, request: str) -> tuple[int, dict[str, str]]:
    """Status and body of what another user of this machine is answered; the request is sent in the parts between |."""
    shown = request.replace("\r\n", "\\r\\n")
    command = ["setpriv", f"--reuid={OTHER}", "--clear-groups", sys.executable, "-I", "-c", ASK]
    asked = await asyncio.create_subprocess_exec(*command, str(server.port), shown, stdout=subprocess.PIPE)
    said, _ = await asked.communicate()
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


# --- other users -----------------------------------------------------------------------------------------------------


@linux
@root
@pytest.mark.alone  # the flood takes all the time of a processor that it can get
async def test_another_user_cannot_lock_the_owner_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However many idle connections another user opens, and opens again: the owner's requests are answered."""

    caplog.set_level(logging.WARNING)
    async with serving(tmp_path / "run") as server:
        command = ["setpriv", f"--reuid={OTHER}", "--clear-groups", sys.executable, "-I", "-c", FLOOD, str(server.port)]
        flood = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        try:
            assert flood.stdout is not None
            await flood.stdout.readline()
            for _ in range(20):
                assert 200 == (await talk(server, get(server, "/api")))[0]
            assert flood.returncode is None
        finally:
            flood.kill()
            await flood.wait()
    refused = [r.getMessage() for r in caplog.records if "allowed_users" in r.getMessage()]
    assert [f"refused a connection from user {OTHER}; the setting allowed_users lists who may connect"] == refused


@linux
@root
@pytest.mark.parametrize("path", ["/open", "/page", "/api"])
async def test_another_user_is_refused_with_a_sentence(tmp_path: Path, path: str) -> None:
    """403 before anything is read, even with the right key; also to a client that sends in several parts."""

    async with serving(tmp_path / "run") as server:
        for request in (get(server, path), get(server, path) + "|more|and more", ""):
            status, body = await as_other(server, request)
            assert (403, "forbidden") == (status, body["error"])
            assert "allowed_users" in body["message"]


@linux
@root
async def test_allowed_users(tmp_path: Path) -> None:
    """They reach the open routes, which check keys for themselves; dashboard and API stay their owner's."""

    async with serving(tmp_path / "run", allowed_users=lambda: (OTHER,)) as server:
        assert (200, {"owner": "allowed"}) == await as_other(server, get(server, "/open"))
        for path in ("/api", "/page"):
            assert 403 == (await as_other(server, get(server, path)))[0]
        assert 200 == (await talk(server, get(server, "/page")))[0]


async def test_where_nobody_knows_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On systems that don't say, everybody is admitted as before."""

    monkeypatch.setattr(peers, "is_supported", lambda: False)
    async with serving(tmp_path / "run") as server:
        assert {"owner": "own"} == json.loads((await talk(server, get(server, "/api")))[2])


# --- unknown owners --------------------------------------------------------------------------------------------------


@linux
@root
def test_another_network_namespace(tmp_path: Path) -> None:
    """A container that reaches 127.0.0.1 has a share of its own, is refused the API, and locks nobody out."""

    command = ["unshare", "--net", sys.executable, "-m", "tests.server.other_namespace", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "no veth" in done.stderr:
        pytest.skip("this kernel has no virtual links")
    assert 0 == done.returncode, done.stderr
    told = json.loads(done.stdout)

    assert "unknown" == told["open"]
    assert {"/api": 403, "/page": 403} == told["strict"]
    assert 0 < told["held"] <= 32  # of a hundred
    assert {"open": "own", "api": 200} == told["owner meanwhile"]


# --- silence ---------------------------------------------------------------------------------------------------------


async def open_many(server: LoopbackServer, count: int, sent: bytes = b"") -> list[asyncio.StreamReader]:
    """Connections that send no whole request. They end with the test's loop."""
    readers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        readers.append(reader)
        reader.keep = writer  # type: ignore[attr-defined]
    return readers


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET /open HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_headers_must_arrive_in_time(tmp_path: Path, sent: bytes) -> None:
    """Whoever sends no whole request is cut off; whoever has sent one may keep its connection."""

    async with serving(tmp_path / "run", headers_limit=0.2) as server:
        asked, writer = await asyncio.open_connection("127.0.0.1", server.port)
        request = get(server, "/open").replace("Connection: close\r\n", "").encode()
        writer.write(request)
        await asked.readuntil(b"}")
        (silent,) = await open_many(server, 1, sent)
        async with asyncio.timeout(5):
            assert b"" == await silent.read()
        writer.write(request)
        assert b"HTTP/1.1 200 OK\r\n" == await asked.readline()
        writer.close()
        await writer.wait_closed()
        silent.keep.close()  # type: ignore[attr-defined]


async def test_the_oldest_without_a_request_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit a new client is served, at the cost of the one that has been silent for longest."""

    monkeypatch.setattr("trayapp.server.server.available_connections", lambda: 4)
    async with serving(tmp_path / "run") as server:
        silent = await open_many(server, 4, b"GET /op")
        assert 200 == (await talk(server, get(server, "/open")))[0]
        async with asyncio.timeout(5):
            assert b"" == await silent[0].read()
        assert not any(reader.at_eof() for reader in silent[1:])
        for reader in silent:
            reader.keep.close()  # type: ignore[attr-defined]


async def test_a_new_client_is_not_displaced_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between connecting and sending its request it has a second: an idle connection goes first."""

    monkeypatch.setattr("trayapp.server.server.available_connections", lambda: 2)
    async with serving(tmp_path / "run") as server:
        idle, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(get(server, "/open").replace("Connection: close\r\n", "").encode())
        await idle.readuntil(b"}")
        (new,) = await open_many(server, 1)
        assert 200 == (await talk(server, get(server, "/open")))[0]
        async with asyncio.timeout(5):
            assert b"" == await idle.read()
        assert not new.at_eof()
        writer.close()
        new.keep.close()  # type: ignore[attr-defined]


async def test_an_unknown_owner_displaces_none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its share is small, and within it the oldest silent one goes first."""

    monkeypatch.setattr("trayapp.server.server.available_connections", lambda: 32)
    owners: dict[int, Owner] = {}
    monkeypatch.setattr(
        peers.Peers, "owner", lambda self, peer, own: (owners.get(peer[1], owners.get(0, Owner.OWN)), None)
    )
    async with serving(tmp_path / "run") as server:
        ours = await open_many(server, 29)
        await asyncio.sleep(0.05)
        owners[0] = Owner.UNKNOWN
        theirs = await open_many(server, 5)
        async with asyncio.timeout(5):
            assert [b"", b"", b""] == [await reader.read() for reader in theirs[:3]]
        assert not any(reader.at_eof() for reader in [*ours, *theirs[3:]])
        owners[0] = Owner.OWN
        ours += await open_many(server, 2)
        async with asyncio.timeout(5):
            assert b"" == await ours[0].read()  # the limit is reached, and it is the oldest
        for reader in [*ours, *theirs]:
            reader.keep.close()  # type: ignore[attr-defined]


@pytest.mark.linux("open descriptors are counted in /proc")
async def test_refused_clients_hold_no_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few may finish what they are sending; the others are cut off at once."""

    monkeypatch.setattr(peers.Peers, "owner", lambda self, peer, own: (Owner.FOREIGN, OTHER))

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with serving(tmp_path / "run") as server:
        before = descriptors()
        readers = await open_many(server, 50)
        answers = [await reader.readuntil(b"\r\n") for reader in readers]
        assert {b"HTTP/1.1 403 Forbidden\r\n"} == set(answers)
        async with asyncio.timeout(LINGER / 2):  # before those that linger end, too
            while descriptors() - before > 50 + LINGERING_MAX:  # noqa: ASYNC110 - nothing reports a closed socket
                await asyncio.sleep(0)
        for reader in readers:
            reader.keep.close()  # type: ignore[attr-defined]
