"""The pushed authorization request endpoint (RFC 9126): references, their end, and what a client may not do."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.oauthtest.client import Got, SignIn, ask, post, redirected
from trayapp.oauthtest import OAuthServer, Rule


class Clock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def push(server: OAuthServer, sign_in: SignIn, **change: str | None) -> Got:
    """Push what would stand in the address."""
    return post(f"{server.url}/par", dict(parse_qsl(urlsplit(sign_in.url(**change)).query)))


def visit(server: OAuthServer, reference: str, **more: str) -> Got:
    """The browser's request with a reference."""
    query = {"client_id": server.client_id, "request_uri": reference, **more}
    return ask(f"{server.authorization_endpoint}?{urlencode(query)}")


def test_a_reference_stands_for_its_request_once() -> None:
    """A second visit is refused without a redirect."""

    with OAuthServer(pushed="required") as server:
        sign_in = SignIn.new(server)
        answer = push(server, sign_in)
        reference = answer.json()["request_uri"]
        code = redirected(visit(server, reference))["code"]

        assert (201, 60) == (answer.status, answer.json()["expires_in"])
        assert 200 == sign_in.redeem(code).status
        assert 400 == visit(server, reference).status


def test_a_reference_ends() -> None:
    """After `pushed_lifetime`, and it is its client's alone."""

    clock = Clock()
    with OAuthServer(pushed="required", clock=clock, pushed_lifetime=10.0) as server:
        late, foreign = (push(server, SignIn.new(server)).json()["request_uri"] for _ in range(2))
        assert 400 == visit(server, foreign, client_id="another").status
        clock.now += 11.0
        assert 400 == visit(server, late).status


def test_what_a_client_must_not_do() -> None:
    """Not push where that is demanded, push a reference, and repeat the request in the address."""

    with OAuthServer(pushed="required", check=False) as server:
        sign_in = SignIn.new(server)
        assert 400 == ask(sign_in.url()).status
        assert "invalid_request" == push(server, sign_in, request_uri="urn:x").error
        reference = push(server, sign_in).json()["request_uri"]
        visit(server, reference, scope="more")
        assert [Rule.NOT_PUSHED, Rule.REQUEST_URI_PUSHED, Rule.NOT_PUSHED] == [each.rule for each in server.violations]


def test_a_push_is_validated_like_a_request() -> None:
    """Client, method and parameters."""

    with OAuthServer(pushed="offered", check=False) as server:
        assert "invalid_client" == push(server, SignIn.new(server), client_id="another").error
        assert "invalid_request" == push(server, SignIn.new(server), code_challenge=None).error
        assert 405 == ask(f"{server.url}/par").status
        assert 303 == ask(SignIn.new(server).url()).status
