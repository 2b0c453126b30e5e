"""The two requests of RFC 8628: client authentication, resource, and no secret in a URL."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest

from trayapp.core.model import Secret
from trayapp.core.outcomes import Fault
from trayapp.oauth.tokens import DeviceGrant, HttpTokens, device_request, poll_request
from trayapp.oauth.wire import Request, Wire

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CANARY = "dc/canary+5501=="


def grant(method: str = "none", **more: Any) -> DeviceGrant:
    proof: dict[str, Any] = {}
    if method != "none":
        registration = Secret(json.dumps({"token_endpoint_auth_method": method}))
        proof = {"client_secret": Secret("s3cret"), "registration": registration}
    fields: dict[str, Any] = {"scope": "openid mcp", "resource": "https://mcp.test/"}
    return DeviceGrant("https://as.test/device", "https://as.test/token?t=1", "the-client", **(fields | proof | more))


def form(request: Request) -> dict[str, str]:
    pairs = parse_qsl(request.body, keep_blank_values=True, strict_parsing=True)
    assert len(pairs) == len(dict(pairs))
    return dict(pairs)


def test_the_device_authorization_request() -> None:
    """Client, scope and resource (RFC 8707) in the form; what is empty is left out."""

    made = device_request(grant())
    assert ("POST", "https://as.test/device") == (made.method, made.url)
    assert {"client_id": "the-client", "scope": "openid mcp", "resource": "https://mcp.test/"} == form(made)
    assert made.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    audience = form(device_request(grant(audience="https://api.test/")))["audience"]
    assert "https://api.test/" == audience  # Auth0's own word
    assert {"client_id": "the-client"} == form(device_request(grant(scope="", resource="")))


def test_the_device_token_request() -> None:
    """Grant type, code, client and resource; the code is in no address and no repr."""

    made = poll_request(grant(), Secret(CANARY))
    expected = {"grant_type": GRANT, "device_code": CANARY, "client_id": "the-client", "resource": "https://mcp.test/"}
    assert expected == form(made)
    assert "https://as.test/token?t=1" == made.url
    assert CANARY not in repr(made)


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_the_client_authenticates_as_registered(method: str) -> None:
    """To both endpoints alike (RFC 8628 section 3.1)."""

    for made in (device_request(grant(method)), poll_request(grant(method), Secret(CANARY))):
        fields = form(made)
        assert (method == "client_secret_basic") == ("Authorization" in made.headers)
        assert (method == "client_secret_post") == ("client_secret" in fields)
        assert (method != "client_secret_basic") == ("client_id" in fields)


async def test_a_code_that_no_form_can_carry() -> None:
    """It is a fault before anything is sent."""

    answer = await HttpTokens(Wire("0")).poll(grant(), Secret("\ud800"), limit=1.0)

    assert isinstance(answer, Fault)
    assert not answer.sent
