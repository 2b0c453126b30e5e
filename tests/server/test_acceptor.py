"""Accepting while no file descriptor is left: it pauses, says so once, and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import socket
import struct
import subprocess
import sys
from typing import Any

import pytest

from trayapp.server import acceptor
from trayapp.server.acceptor import Acceptor, ThreadAcceptor, accept

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
KINDS = [Acceptor, ThreadAcceptor]

CHILD = """
import asyncio, json, logging, os, resource, socket, sys, tempfile
from pathlib import Path
from aiohttp import web
from trayapp.server.server import LoopbackServer

logged = []
logging.getLogger().addHandler(logging.NullHandler())
logging.getLogger().handlers[0].handle = lambda record: logged.append(record.getMessage())

async def hello(request):
    return web.Response(text="hello")

async def ask(connection):
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, b"GET / HTTP/1.0\\r\\nHost: 127.0.0.1:%d\\r\\n\\r\\n" % connection.getpeername()[1])
    return (await loop.sock_recv(connection, 15)).decode()

async def main():
    server = LoopbackServer(
        port=0, runtime_dir=Path(tempfile.mkdtemp(), "run"), version="0", routes=[], open_routes=[web.get("/", hello)]
    )
    await server.start()
    clients = [socket.socket() for _ in range(5)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for one in clients:
        one.setblocking(False)
        await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", server.port))
    asked = [asyncio.create_task(ask(one)) for one in clients]
    await asyncio.sleep(1.2)
    meanwhile = sum(task.done() for task in asked)
    for one in taken[:20]:
        os.close(one)
    answers = await asyncio.wait_for(asyncio.gather(*asked), 5)
    await server.close()
    print(json.dumps({"meanwhile": meanwhile, "answers": answers, "logged": logged}))

asyncio.run(main())
"""


@posix
def test_a_process_without_descriptors() -> None:
    """Clients wait, and are answered once a descriptor is free; their owner is still known."""

    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=30, check=False)
    assert 0 == done.returncode, done.stderr
    told = json.loads(done.stdout)

    assert 0 == told["meanwhile"]
    assert ["HTTP/1.0 200 OK"] * 5 == told["answers"]
    (line,) = told["logged"]
    assert line == "Too many open files: new connections to the local server have to wait"


class Failing(socket.socket):
    """A listener whose next accepts fail."""

    failures: list[OSError]

    def accept(self) -> tuple[socket.socket, Any]:
        if self.failures:
            raise self.failures.pop(0)
        return super().accept()


@posix
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", [errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPERM, errno.ENETDOWN])
async def test_a_system_without_descriptors(
    code: int, kind: type[Acceptor | ThreadAcceptor], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the whole system lacks is waited for too; a client that is gone already is no reason to."""

    monkeypatch.setattr(acceptor, "PAUSE", 0.02)
    caplog.set_level(logging.WARNING)
    listener = Failing()
    listener.failures = [*(OSError(code, os.strerror(code)) for _ in range(5)), ConnectionAbortedError()]
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    accepted: asyncio.Future[asyncio.BaseTransport] = asyncio.get_running_loop().create_future()

    class Met(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport)

    accepting = kind(listener, Met)
    _, writer = await asyncio.open_connection(*listener.getsockname())
    (await asyncio.wait_for(accepted, 5)).close()
    accepting.close()
    writer.close()

    assert [] == listener.failures
    assert 1 == len(caplog.records)
    assert -1 == listener.fileno()


@posix
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", [errno.EBADF, errno.EINVAL])
async def test_a_listener_that_is_gone(
    code: int, kind: type[Acceptor | ThreadAcceptor], caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once and stops, instead of failing again and again."""

    listener = Failing()
    listener.failures = [OSError(code, os.strerror(code))]
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    address = listener.getsockname()
    accepting = kind(listener, asyncio.Protocol)
    if isinstance(accepting, ThreadAcceptor):  # it fails at once, and not when somebody comes
        await asyncio.to_thread(accepting._closed.wait, 5)
    with pytest.raises(ConnectionRefusedError if kind is ThreadAcceptor else ConnectionResetError):
        await asyncio.open_connection(*address)
    assert not accepting.is_serving()
    accepting.close()

    (record,) = caplog.records
    assert f"the local server accepts no more connections: {os.strerror(code)}" == record.getMessage()


def listening() -> socket.socket:
    """On loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener


async def test_clients_that_reset_at_once() -> None:
    """As a port scanner does; they take the server away from nobody."""

    listener = listening()
    address = listener.getsockname()
    met: asyncio.Queue[asyncio.BaseTransport] = asyncio.Queue()

    class Met(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            met.put_nowait(transport)

    accepting = await accept(listener, Met)
    for wait in (False, True, False, True):
        for _ in range(20):
            client = socket.create_connection(address)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            if wait:
                await asyncio.sleep(0)
        await asyncio.sleep(0.02)
    while not met.empty():
        met.get_nowait().close()
    _, writer = await asyncio.open_connection(*address)
    (await asyncio.wait_for(met.get(), 5)).close()
    assert accepting.is_serving()
    accepting.close()
    writer.close()


async def test_who_waits_at_the_end_is_hung_up_on() -> None:
    """However far accepting had come."""

    for turns in range(6):
        listener = listening()
        accepting = await accept(listener, asyncio.Protocol)
        with socket.create_connection(listener.getsockname()) as client:
            for _ in range(turns):
                await asyncio.sleep(0)
            accepting.close()
            client.settimeout(2)
            await asyncio.sleep(0.01)
            if turns == 0:
                with contextlib.suppress(ConnectionError):
                    assert b"" == client.recv(1)
