"""One refresh against a test's server, without the proxies and certificates of the machine."""

from __future__ import annotations

import logging
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.oauth.tls import bare
from trayapp.core.model import Login, Secret
from trayapp.core.outcomes import Fault, Reply
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire

CANARY = "rt-canary-3f9a51c0"
LIMIT = 0.3  # s, for what hangs; everything else gets time enough for a busy machine
TLS_LIMIT = 0.6  # s, the handshake included
AMPLE = 5.0  # s
NAME = "auth.test"  # not this machine by its name, so proxies are used; it resolves to 127.0.0.1 here


@contextmanager
def full_port(address: str = "127.0.0.1") -> Iterator[int]:
    """A port whose queue is full: it drops what knocks, as a network does that isn't there any more. OSError: no such
    address here."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as full, ExitStack() as knocks:
        full.bind((address, 0))
        full.listen(0)
        for _ in range(3):
            knock = knocks.enter_context(socket.socket(family))
            knock.setblocking(False)
            knock.connect_ex(full.getsockname())
        yield full.getsockname()[1]


def login(endpoint: str, token: str = CANARY, **more: Any) -> Login:
    return Login(1, "lineage", Secret(token), 0.0, endpoint, "the-client", **more)


async def refresh(endpoint: str, token: str = CANARY, *, limit: float = AMPLE, connect: float = AMPLE) -> Reply:
    wire = Wire("0") if endpoint.startswith("https") else Wire("0", bare)  # reading all authorities takes 30 ms
    reply = await HttpTokens(wire).refresh(login(endpoint, token), limit=limit, connect=connect)
    if isinstance(reply, Fault):
        assert token not in reply.summary
        assert len(reply.summary) <= 200
    return reply


def told(reply: Reply) -> tuple[bool, str]:
    assert isinstance(reply, Fault), reply
    return reply.sent, reply.kind


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No proxy or certificates of the machine; names resolve to this machine; no log line ever holds the token."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    real = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name == "nowhere.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real({NAME: "127.0.0.1", "far.test": "255.255.255.255"}.get(name, name), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    caplog.set_level(logging.DEBUG)
    yield
    assert CANARY not in caplog.text


def server_side(authority: trustme.CA, name: str = NAME) -> ssl.SSLContext:
    """With the authority's own certificate in the chain: Wine 8 takes a chain without an end for a good one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue_cert(name)
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder, "chain.pem")
        chain.write_bytes(issued.private_key_and_cert_chain_pem.bytes() + authority.cert_pem.bytes())
        context.load_cert_chain(chain)
    return context
