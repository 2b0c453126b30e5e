"""The whole program when the network changes while a look-up hangs."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from tests.oauth.token_requests import NAME, server_side
from trayapp.engine.ports import SystemChange
from trayapp.oauthtest import OAuthServer

SOON = 4.0  # s; less than the limit for connecting (5 s), which ended the attempt otherwise


class DeadThenAlive:
    """The system's resolver: whoever asks before `alive` is set waits for `over`."""

    def __init__(self) -> None:
        self.alive = threading.Event()
        self.over = threading.Event()
        self.asked = threading.Event()
        self._real = socket.getaddrinfo

    def __call__(self, host: Any, *arguments: Any, **more: Any) -> Any:
        if host not in (NAME, NAME.encode()):
            return self._real(host, *arguments, **more)
        if not self.alive.is_set():
            self.asked.set()
            assert self.over.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self._real("127.0.0.1", *arguments, **more)


def network_changes(program: Program) -> None:
    """As the watcher reports it."""
    runtime = program.runtime

    def tell() -> None:
        runtime.watcher._react.connections_stale()
        runtime.engine.task("change the network", runtime.engine.system_changed(SystemChange(network=True)))

    runtime.engine._loop.call_soon_threadsafe(tell)


@pytest.mark.usefixtures("trusted")
def test_a_new_network_does_not_wait_for_the_old_ones_resolver(
    tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt that hangs ends, the next one asks anew, and the quit waits for neither."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    resolver = DeadThenAlive()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with OAuthServer(ssl_context=server_side(authority), check=False) as server:
        port = server.token_endpoint.split(":")[2].split("/")[0]
        there = f"https://{NAME}:{port}"
        program = Program(tmp_path)
        program.write(CONFIG.format(port=0, server=server).replace(server.issuer, there))
        endpoint = server.token_endpoint.replace(server.issuer, there)
        program.keystore._logins["one"] = replace(login_of(server), token_endpoint=endpoint, issuer=there)
        with program:
            network_changes(program)  # also where this machine has no network
            assert resolver.asked.wait(10)
            resolver.alive.set()
            changed = time.monotonic()
            network_changes(program)
            program.becomes("running ok")
            assert time.monotonic() - changed < SOON
        assert 0 == program.code
        resolver.over.set()
