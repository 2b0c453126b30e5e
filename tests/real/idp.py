"""`Idp`: the real authorization server, oidc-provider, as a context manager.

It runs in a child process that ends with its standard input, so that a killed test run leaves nothing behind.
Requests beyond OAuth (counts, revoke everything, another token life) go to its control server, never to its public
address.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.real import node

CLIENT_ID = "amberlight"
EXACT_CLIENT_ID = "exact"
START_LIMIT = 30.0  # s; it is up in half a second on an idle machine
STOP_LIMIT = 5.0  # s


@dataclass(frozen=True, slots=True)
class Counts:
    """What the server itself has counted, by grant type, and its refusals by error code."""

    requests: Mapping[str, int]
    granted: Mapping[str, int]
    refused: Mapping[str, int]
    revocations: int
    registrations: int = 0
    unregistrations: int = 0

    @property
    def refreshed(self) -> int:
        """Refresh requests that it answered with tokens."""
        return self.granted.get("refresh_token", 0)


class Idp:
    """oidc-provider on 127.0.0.1. `issuer` is the address that clients see.

    Both its clients may use any loopback port; the callback's path is a prefix for the one, exact for the other.
    """

    client_id = CLIENT_ID
    exact_client_id = EXACT_CLIENT_ID

    def __init__(
        self,
        issuer: str,
        *,
        access_ttl: float = 30.0,
        demands: Sequence[str] = (),
        document: str = "",
        client_key: str = "",
    ) -> None:
        """`demands`: what the server insists on; `idp.mjs` knows `pushed` and `nonces`. `document`: the one client metadata document
        of its web. `client_key`: the public key of the client `keyed`, as a JWK."""
        self.document, self.client_key = document, client_key
        self.demands = tuple(demands)
        self.issuer = issuer.rstrip("/")
        self.access_ttl = access_ttl
        self.port = 0
        self._control = 0
        self._process: subprocess.Popen[str] | None = None
        self._errors: list[str] = []
        self._reader: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it really listens, for the relay to forward to."""
        return ("127.0.0.1", self.port)

    def __enter__(self) -> Self:
        environment = os.environ | {
            "IDP_PACKAGES": str(node.packages()),
            "IDP_ISSUER": self.issuer,
            "IDP_ACCESS_TTL": f"{self.access_ttl:g}",
            "IDP_DEMANDS": ",".join(self.demands),
            "IDP_DOCUMENT": self.document,
            "IDP_CLIENT_KEY": self.client_key,
            "NODE_ENV": "production",
        }
        self._process = subprocess.Popen(
            [node.node(), Path(__file__).with_name("idp.mjs")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_errors, name="idp stderr", daemon=True)
        self._reader.start()
        try:
            ports = self._first_line()
        except BaseException:
            self.close()
            raise
        self.port, self._control = ports["port"], ports["control"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join(STOP_LIMIT)
        process.stdout.close()

    def counts(self) -> Counts:
        """Token requests so far."""
        return Counts(**self._order("GET", "/counts"))

    def revoke_all(self) -> int:
        """End every grant, as an administrator's "sign out everywhere" does; returns how many there were."""
        return int(self._order("POST", "/revoke-all")["ended"])

    def forget_clients(self) -> int:
        """Delete every registered client; returns how many there were."""
        return int(self._order("POST", "/forget-clients")["ended"])

    def set_access_ttl(self, seconds: float) -> None:
        """The life of access tokens issued from now on."""
        self.access_ttl = seconds
        self._order("POST", f"/access-ttl?seconds={seconds:g}")

    def _order(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self._control}{path}", method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _first_line(self) -> dict[str, int]:
        """The two ports. oidc-provider writes warnings to stderr, and notices may precede our line."""
        assert self._process is not None
        assert self._process.stdout is not None
        limit = threading.Timer(START_LIMIT, self._process.kill)
        limit.start()
        try:
            for line in self._process.stdout:
                if line.startswith("{"):
                    ports: dict[str, int] = json.loads(line)
                    return ports
        finally:
            limit.cancel()
        raise RuntimeError("oidc-provider did not start:\n" + "".join(self._errors[-20:]))

    def _read_errors(self) -> None:
        """Drain its stderr, keeping the end for a failure's message: a full pipe would block it."""
        assert self._process is not None
        stream = self._process.stderr
        assert stream is not None
        with stream:
            for line in stream:
                self._errors.append(line)
                del self._errors[:-200]
