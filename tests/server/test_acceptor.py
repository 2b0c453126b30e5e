"""Accepting while no file descriptor is left: it pauses, says so once, and goes on."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from trayapp.server import acceptor
from trayapp.server.acceptor import Acceptor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")

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


@pytest.mark.parametrize("code", [errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPERM, errno.ENETDOWN])
async def test_a_system_without_descriptors(
    code: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
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

    accepting = Acceptor(listener, Met)
    _, writer = await asyncio.open_connection(*listener.getsockname())
    (await asyncio.wait_for(accepted, 5)).close()
    accepting.close()
    writer.close()

    assert [] == listener.failures
    assert 1 == len(caplog.records)
    assert -1 == listener.fileno()


@pytest.mark.parametrize("code", [errno.EBADF, errno.EINVAL])
async def test_a_listener_that_is_gone(code: int, caplog: pytest.LogCaptureFixture) -> None:
    """It says so once and stops, instead of failing again and again."""

    listener = Failing()
    listener.failures = [OSError(code, os.strerror(code))]
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    accepting = Acceptor(listener, asyncio.Protocol)
    assert accepting.is_serving()
    with pytest.raises(ConnectionResetError):
        await asyncio.open_connection(*listener.getsockname())
    assert not accepting.is_serving()
    accepting.close()

    (record,) = caplog.records
    assert f"the local server accepts no more connections: {os.strerror(code)}" == record.getMessage()
