"""The certificates that Windows trusts are those that count, whatever Python's own library would find."""

from __future__ import annotations

import ssl
import sys

import pytest
import trustme

if sys.platform != "win32":
    pytest.skip("the certificate store is Windows'", allow_module_level=True)

import truststore

from tests.oauth.token_requests import server_side
from tests.raw_server import http_response, raw_server, respond_with
from trayapp.core.outcomes import Fault
from trayapp.oauth.wire import Request, Wire

PATIENCE = 60.0  # s; on a busy machine a handshake in Wine takes some


async def test_the_store_of_windows_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """An authority that isn't in it is refused by Windows' own check of the chain.

    That one in it is trusted can't be tried here: Windows asks the person first, and Wine forgets what is added.
    """

    # Wine fills its store from the system's files when it is first opened, which would be in the middle of the handshake.
    assert ssl.enum_certificates("ROOT")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    wire = Wire("0")
    assert isinstance(await wire.tls(), truststore.SSLContext)
    async with raw_server(respond_with(http_response("200 OK")), server_side(trustme.CA(), "127.0.0.1")) as server:
        request = Request("GET", f"https://127.0.0.1:{server.port}/")
        reply = await wire.send(request, limit=PATIENCE, connect=PATIENCE)
    assert isinstance(reply, Fault)
    assert ("tls", "the certificate of 127.0.0.1 isn't trusted") == (reply.kind, reply.summary)
