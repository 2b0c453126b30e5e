"""Small blocking OAuth client on http.client that sends exactly what a test says, nonsense included."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from trayapp.oauthtest import OAuthServer

FORM = "application/x-www-form-urlencoded"
REDIRECT = "http://127.0.0.1:1/callback"  # nobody listens there; the tests read the Location
AGENT = {"User-Agent": "oauthtest tests"}


@dataclass(frozen=True, slots=True)
class Got:
    """A complete answer. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The error code of an OAuth error answer."""
        return str(self.json()["error"])


def ask(
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: Mapping[str, str] = AGENT,
    limit: float = 3.0,
) -> Got:
    """One request on a fresh connection; no redirect is followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=limit)
    try:
        connection.request(method, url.partition(parts.netloc)[2] or "/", body, dict(headers))
        answer = connection.getresponse()
        return Got(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def post(url: str, fields: Mapping[str, str], headers: Mapping[str, str] = AGENT, limit: float = 3.0) -> Got:
    """Send a form."""
    return ask(url, "POST", urlencode(fields), {"Content-Type": FORM, **headers}, limit)


def refresh(server: OAuthServer, token: str | None, limit: float = 3.0, **more: str) -> Got:
    """Send a refresh request."""
    assert token is not None
    fields = {"grant_type": "refresh_token", "client_id": server.client_id, "refresh_token": token, **more}
    return post(server.token_endpoint, fields, limit=limit)


@dataclass(frozen=True, slots=True)
class SignIn:
    """One sign-in with its own state and verifier. `change` replaces parameters of the authorization URL; None removes
    one."""

    server: OAuthServer
    verifier: str
    state: str

    @classmethod
    def new(cls, server: OAuthServer) -> SignIn:
        """With fresh random values."""
        return cls(server, secrets.token_urlsafe(32), secrets.token_urlsafe(16))

    def url(self, **change: str | None) -> str:
        """The authorization URL."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        fields: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.server.client_id,
            "redirect_uri": REDIRECT,
            "state": self.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        fields |= change
        return (
            self.server.authorization_endpoint
            + "?"
            + urlencode({name: value for name, value in fields.items() if value is not None})
        )

    def callback(self, **change: str | None) -> dict[str, str]:
        """The parameters of the redirect."""
        got = ask(self.url(**change))
        assert 303 == got.status, got.body
        return redirected(got)

    def redeem(self, code: str, /, **change: str | None) -> Got:
        """Exchange the code for tokens."""
        fields: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "client_id": self.server.client_id,
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": self.verifier,
        }
        fields |= change
        return post(self.server.token_endpoint, {n: v for n, v in fields.items() if v is not None})


def redirected(got: Got) -> dict[str, str]:
    """The query of an answer's Location."""
    location = got.headers["location"]
    assert location.startswith(REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
