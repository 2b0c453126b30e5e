"""Names for the servers of these tests: loopback addresses are exempt from much that concerns a network."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.oauth.token_requests import NAME


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The host names that resolve, all of them to this machine."""
    known = {NAME}
    real = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if str(name).endswith(".test"):
            if name not in known:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            name = "127.0.0.1"
        return real(name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    return known
