"""Rotation, reuse, grace and revocation, and the contents of a token response."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.oauthtest.client import SignIn, post, refresh
from trayapp.oauthtest import OAuthServer, Rule


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_refreshing_rotates(oauth_server: OAuthServer) -> None:
    """Each answer has a new refresh token, which is the family's current one."""

    login = oauth_server.issue(scope="a b")
    answers = [refresh(oauth_server, login.refresh_token).json()]
    for _ in range(3):
        answers.append(refresh(oauth_server, answers[-1]["refresh_token"]).json())

    assert 4 == len({answer["refresh_token"] for answer in answers})
    assert answers[-1]["refresh_token"] == oauth_server.current_refresh_token(login.family)
    assert {"a b"} == {answer["scope"] for answer in answers}
    assert oauth_server.valid_access(answers[-1]["access_token"])


def test_without_rotation_there_is_no_refresh_token_in_the_answer(oauth_server: OAuthServer) -> None:
    """The old token stays valid, or is sent again if the server is told so."""

    login = oauth_server.issue()
    oauth_server.rotate = False
    assert "refresh_token" not in refresh(oauth_server, login.refresh_token).json()
    oauth_server.rotate = "same"
    assert login.refresh_token == refresh(oauth_server, login.refresh_token).json()["refresh_token"]


def test_reuse_ends_the_family() -> None:
    """The newest refresh token and the access tokens die with it."""

    with OAuthServer() as server:
        login, other = server.issue(), server.issue()
        answer = refresh(server, login.refresh_token).json()
        reused = refresh(server, login.refresh_token)

        assert "invalid_grant" == reused.error
        assert (other.family,) == server.live_families()
        assert not server.valid_access(answer["access_token"])
        assert "invalid_grant" == refresh(server, answer["refresh_token"]).error


def test_reuse_may_be_only_refused() -> None:
    """With reuse_revokes_family off, the successor lives on."""

    with OAuthServer(reuse_revokes_family=False) as server:
        login = server.issue()
        answer = refresh(server, login.refresh_token).json()

        assert "invalid_grant" == refresh(server, login.refresh_token).error
        assert 200 == refresh(server, answer["refresh_token"]).status


def test_grace_honours_a_spent_token_for_a_while() -> None:
    """Inside the grace a spent token gives a fresh successor; after it, counted from the first use, it is reuse."""

    clock = Clock()
    with OAuthServer(grace=10, clock=clock) as server:
        login = server.issue()
        first = refresh(server, login.refresh_token).json()
        clock.now += 9
        second = refresh(server, login.refresh_token).json()
        assert first["refresh_token"] != second["refresh_token"]
        assert second["refresh_token"] == server.current_refresh_token(login.family)
        clock.now += 2
        assert "invalid_grant" == refresh(server, login.refresh_token).error
        assert () == server.live_families()


def test_revoking_ends_families(oauth_server: OAuthServer) -> None:
    """One by name, or all of them."""

    first, second, third = (oauth_server.issue() for _ in range(3))
    oauth_server.revoke(first.family)
    assert (second.family, third.family) == oauth_server.live_families()
    oauth_server.revoke_all()
    assert () == oauth_server.live_families()
    assert "invalid_grant" == refresh(oauth_server, third.refresh_token).error


def test_the_revocation_endpoint_ends_a_login(oauth_server: OAuthServer) -> None:
    """RFC 7009: a refresh token takes its family along, an access token only itself, and an unknown one is fine."""

    login = oauth_server.issue()

    def revoke(token: str | None) -> int:
        fields = {"token": token or "", "client_id": oauth_server.client_id}
        return post(oauth_server.revocation_endpoint, fields).status

    assert 200 == revoke(login.access_token)
    assert not oauth_server.valid_access(login.access_token)
    assert (login.family,) == oauth_server.live_families()
    assert 200 == revoke(login.refresh_token)
    assert () == oauth_server.live_families()
    assert 200 == revoke("never given out")
    assert 1 == oauth_server.count("revoke", outcome="unknown_token")


def test_access_tokens_expire_by_the_clock() -> None:
    """Not before their lifetime ends, and then immediately."""

    clock = Clock()
    with OAuthServer(clock=clock, access_token_lifetime=60) as server:
        token = server.issue().access_token
        clock.now += 59
        assert server.valid_access(token)
        clock.now += 1
        assert not server.valid_access(token)


@pytest.mark.parametrize("lifetime", ["soon", None, 0, -5, "60", 3600.0, {"odd": True}])
def test_odd_lifetimes_are_announced_as_they_are(oauth_server: OAuthServer, lifetime: Any) -> None:
    """`expires_in` is what was set; None leaves it out; the token is valid either way."""

    oauth_server.access_token_lifetime = lifetime
    answer = refresh(oauth_server, oauth_server.issue().refresh_token).json()

    assert lifetime == answer.get("expires_in")
    assert (lifetime is not None) == ("expires_in" in answer)
    assert oauth_server.valid_access(answer["access_token"])


def test_extra_changes_the_token_response(oauth_server: OAuthServer) -> None:
    """Any key can be set, emptied or taken away."""

    oauth_server.extra = {"refresh_token": "", "expires_in": None, "token_type": ...}
    answer = refresh(oauth_server, oauth_server.issue().refresh_token).json()

    assert {"access_token", "refresh_token", "expires_in"} == answer.keys()
    assert "" == answer["refresh_token"]
    assert answer["expires_in"] is None


def test_an_id_token_names_the_subject() -> None:
    """With `openid` in the scope there is a ID token with issuer, audience and nonce, signed by the server's key."""

    with OAuthServer(subject="someone") as server:
        sign_in = SignIn.new(server)
        code = sign_in.callback(scope="openid mail", nonce="n-1")["code"]
        token = sign_in.redeem(code).json()["id_token"]
        keys = KeySet.import_key_set(httpx2.get(f"{server.url}/jwks", trust_env=False).json())
        read = jwt.decode(token, keys, algorithms=["ES256"]).claims

        assert ("someone", server.issuer, server.client_id, "n-1") == tuple(
            read[k] for k in ("sub", "iss", "aud", "nonce")
        )
        assert "id_token" not in refresh(server, server.issue(scope="mail").refresh_token).json()


def test_a_scope_may_shrink_but_not_grow(oauth_server: OAuthServer) -> None:
    """RFC 6749 section 6: a refresh asks for no more than was granted."""

    login = oauth_server.issue(scope="a b")

    assert "invalid_scope" == refresh(oauth_server, login.refresh_token, scope="a c").error
    assert 200 == refresh(oauth_server, login.refresh_token, scope="a").status


def test_nothing_shows_a_token() -> None:
    """No repr, log entry or violation has the canary, and every token has it."""

    with OAuthServer(canary="CANARY", client_secret="CANARY-secret", check=False) as server:
        sign_in = SignIn.new(server)
        code = sign_in.callback()["code"]
        sign_in.redeem(code, client_secret="CANARY-secret")
        sign_in.redeem(code, client_secret="CANARY-secret")
        login = server.issue()
        refresh(server, login.refresh_token, client_secret="CANARY-secret")
        shown = repr([server, login, server.requests, server.violations])

        assert [Rule.CODE_REUSED] == [violation.rule for violation in server.violations]
        assert all("CANARY" in text for text in (code, login.refresh_token or "", login.access_token))
        assert "CANARY" not in shown
        assert sign_in.verifier not in shown
        assert sign_in.state not in shown
