"""A sign-in whose access token has ended by its own `exp`: the login counts, that token doesn't."""

from __future__ import annotations

import base64
import json

from tests.core.replies import answer
from trayapp.core.model import Moment, Problem, Spec
from trayapp.engine.ports import NewLogin
from trayapp.oauth.code_exchange import new_login
from trayapp.oauth.metadata import Endpoints

NOW = Moment(1000.0, 1000.0, 1_700_000_000.0)
ENDPOINTS = Endpoints("https://as.test", "https://as.test/authorize", "https://as.test/token")


def jwt(exp: float) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part({'exp': exp})}.c2ln"


def signed_in(exp: float, **more: object) -> NewLogin | Problem:
    """The login that a code brought, with an access token that ends at `exp`."""
    return new_login(Spec("w", "https://mcp.test"), ENDPOINTS, answer(200, {"access_token": jwt(exp), **more}), NOW)


def test_an_ended_token_is_not_served_and_the_login_is_kept() -> None:
    """The refresh token brings a better one."""

    new = signed_in(NOW.wall - 60, refresh_token="rt-1")

    assert isinstance(new, NewLogin)
    assert "rt-1" == new.login.refresh_token.reveal()
    assert not new.access.usable(NOW.at, 10.0)


def test_a_token_that_ends_later_is_served_until_then() -> None:
    """Measured from when it was asked for."""

    new = signed_in(NOW.wall + 600, refresh_token="rt-1")

    assert isinstance(new, NewLogin)
    assert NOW.at + 600 == new.access.expires_at
    assert new.access.usable(NOW.at, 10.0)


def test_an_ended_token_alone_is_no_login() -> None:
    """Without a refresh token there would be nothing to use."""

    assert isinstance(signed_in(NOW.wall - 60), Problem)
