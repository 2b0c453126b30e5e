"""Device grant of the scriptable server: codes, the page, and a client that polls too fast."""

from __future__ import annotations

import pytest

from tests.oauthtest.client import ask, post
from tests.oauthtest.test_grants import Clock
from trayapp.oauthtest import ClientMisbehaved, OAuthServer, Rule
from trayapp.oauthtest.device import GRANT_TYPE


def begin(server: OAuthServer, **more: str) -> dict[str, str]:
    got = post(server.device_authorization_endpoint, {"client_id": server.client_id, **more})
    assert 200 == got.status, got.body
    return dict(got.json())


def poll(server: OAuthServer, code: str) -> str:
    """The error code, or "ok"."""
    form = {"grant_type": GRANT_TYPE, "client_id": server.client_id, "device_code": code}
    got = post(server.token_endpoint, form)
    return "ok" if got.status == 200 else got.error


def test_a_whole_device_sign_in() -> None:
    """Pending until a person agrees on the page; then a grant, once."""

    clock = Clock()
    with OAuthServer(device=True, clock=clock, consent="page") as server:
        codes = begin(server, scope="mcp")
        assert (codes["user_code"],) == server.user_codes()
        assert "authorization_pending" == poll(server, codes["device_code"])
        assert b"Enter the code" in ask(server.url + "/device").body
        assert codes["user_code"].encode() in ask(codes["verification_uri_complete"]).body
        answer = post(server.url + "/device", {"user_code": codes["user_code"].lower(), "choice": "allow"})
        assert b"You are signed in" in answer.body
        clock.now += 5.0
        assert "ok" == poll(server, codes["device_code"])
        clock.now += 5.0
        assert "invalid_grant" == poll(server, codes["device_code"])
        assert 1 == len(server.live_families())


def test_denied_expired_unknown() -> None:
    """Each in the words of RFC 8628 section 3.5."""

    clock = Clock()
    with OAuthServer(device=True, clock=clock, device_lifetime=60.0) as server:
        codes = begin(server)
        server.deny(codes["user_code"])
        assert "access_denied" == poll(server, codes["device_code"])
        codes = begin(server)
        clock.now += 61.0
        assert "expired_token" == poll(server, codes["device_code"])
        assert () == server.user_codes()
        with pytest.raises(KeyError):
            server.approve(codes["user_code"])
        assert 400 == ask(f"{server.url}/device?user_code=XXXX-XXXX").status
        assert "invalid_grant" == poll(server, "unknown")


def test_polling_too_fast_is_a_violation() -> None:
    """`slow_down`, five seconds more from then on, and the test fails in the end."""

    clock = Clock()
    with OAuthServer(device=True, clock=clock, check=False) as server:
        code = begin(server)["device_code"]
        poll(server, code)
        clock.now += 4.0
        assert "slow_down" == poll(server, code)
        clock.now += 9.0
        assert "slow_down" == poll(server, code)
        clock.now += 15.0
        assert "authorization_pending" == poll(server, code)
        assert [Rule.POLLED_TOO_FAST] * 2 == [violation.rule for violation in server.violations]
        with pytest.raises(ClientMisbehaved):
            server.verify()


def test_slow_downs_may_be_ordered() -> None:
    """Without a breach: the client has to add five seconds for each."""

    clock = Clock()
    with OAuthServer(device=True, clock=clock, device_slow_downs=1) as server:
        code = begin(server)["device_code"]
        assert "slow_down" == poll(server, code)
        clock.now += 10.0
        assert "authorization_pending" == poll(server, code)


def test_the_resource_is_watched() -> None:
    """RFC 8707: in the first request."""

    with OAuthServer(device=True, resource="https://mcp.test/", allow={Rule.WRONG_RESOURCE}) as server:
        got = post(server.device_authorization_endpoint, {"client_id": server.client_id})
        assert "invalid_target" == got.error
        assert begin(server, resource="https://mcp.test/")["user_code"]


def test_without_the_device_option_there_is_no_endpoint() -> None:
    """No address in the metadata, no endpoint, and the grant is not supported."""

    with OAuthServer(allow={Rule.UNSUPPORTED}) as server:
        document = ask(server.url + "/.well-known/oauth-authorization-server").json()
        assert "device_authorization_endpoint" not in document
        assert 404 == post(server.device_authorization_endpoint, {"client_id": server.client_id}).status
        assert "unsupported_grant_type" == poll(server, "any")


def test_device_changes_alter_the_response() -> None:
    """What a hostile server would say, for tests of clients."""

    with OAuthServer(device=True, device_changes={"user_code": "\x1b[2J", "interval": ...}) as server:
        codes = begin(server)
        assert "\x1b[2J" == codes["user_code"]
        assert "interval" not in codes
