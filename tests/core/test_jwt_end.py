"""The end of an access token that is a JWT: it counts where the server says nothing better, and never lengthens a life."""

from __future__ import annotations

import base64
import json

import pytest

from tests.core.history import effect_text, played, player, state_text
from tests.core.replies import WALL, answer, outcome_of
from trayapp.core import machine
from trayapp.core.classify import classify
from trayapp.core.jwt_end import PAYLOAD_MAX, jwt_end
from trayapp.core.model import Secret, Workload
from trayapp.core.outcomes import Refreshed

HTTP_DATE = "Sun, 06 Nov 1994 08:49:37 GMT"  # WALL


def part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(**claims: object) -> str:
    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2ln"


@pytest.mark.parametrize(
    ("exp", "end"),
    [
        (1700000000, 1700000000.0),
        (1700000000.5, 1700000000.5),  # RFC 7519 section 2 allows fractions
        (1, 1.0),
        ("1700000000", None),
        (1700000000000, None),  # milliseconds
        (1e11, None),
        (10**400, None),
        (float("inf"), None),
        (float("nan"), None),
        (0, None),
        (-1, None),
        (True, None),
        (None, None),
        ([1700000000], None),
        ({"value": 1700000000}, None),
    ],
)
def test_exp_counts_only_as_seconds_since_the_epoch(exp: object, end: float | None) -> None:
    """Anything else is as if it weren't there."""

    assert end == jwt_end(jwt(exp=exp))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "opaque",
        "a.b",
        "..",
        "a..c",
        "a.!!!!.c",
        f"a.{part(b'no JSON')}.c",
        f"a.{part(bytes([0xFF, 0xFE]))}.c",
        f"a.{part([1])}.c",
        f"a.{part('text')}.c",
        f"a.{part({})}.c",
        f"a.{part(b'[' * 30000)}.c",  # nested without end
        f"a.{part({'exp': 1700000000, 'x': 'y' * PAYLOAD_MAX})}.c",  # longer than any header
        f"{jwt(exp=1700000000)}.x.y",  # encrypted: five parts
        jwt(exp=1700000000).rpartition(".")[0],
        "a.\u00e9\u00e9.c",
    ],
)
def test_what_is_no_signed_jwt_has_no_end(token: str) -> None:
    """It is served until the server rejects it, as ever (M1)."""

    assert jwt_end(token) is None


@pytest.mark.parametrize(
    ("more", "lifetime"),
    [
        ({}, 600.0),
        ({"expires_in": 3600}, 3600.0),  # the server's word is better
        ({"expires_in": 60}, 60.0),
        ({"expires_in": 0}, 600.0),  # unknown (M1)
        ({"expires_in": "soon"}, 600.0),
    ],
)
def test_the_tokens_own_end_counts_where_the_server_says_nothing(more: dict[str, object], lifetime: float) -> None:
    """`expires_in` is better, because it needs no clock."""

    outcome = outcome_of(200, {"access_token": jwt(exp=WALL + 600)} | more)
    assert isinstance(outcome, Refreshed)
    assert lifetime == outcome.expires_in


def test_the_servers_clock_is_the_one_that_counts() -> None:
    """With a wrong clock here, a good token must not look ended, nor an ended one good."""

    token = jwt(exp=WALL + 600)
    for wrong in (WALL - 86400, WALL + 86400):
        outcome = classify(answer(200, {"access_token": token}, date=HTTP_DATE), "", wrong)
        assert isinstance(outcome, Refreshed)
        assert outcome.expires_in == 600.0


@pytest.mark.parametrize("exp", [WALL, WALL - 1, WALL - 86400, 1])
def test_a_token_that_has_ended_has_no_life(exp: float) -> None:
    """It is none, whatever else the answer says."""

    outcome = outcome_of(200, {"access_token": jwt(exp=exp), "refresh_token": "rt-2"})
    assert isinstance(outcome, Refreshed)
    assert outcome.expires_in == 0.0


def test_an_opaque_token_is_served_until_it_is_rejected() -> None:
    """Nothing changes for tokens that say nothing about themselves."""

    outcome = outcome_of(200, {"access_token": "opaque"})
    assert isinstance(outcome, Refreshed)
    assert outcome.expires_in is None


def _after(refresh_token: Secret | None) -> tuple[str, list[str], Workload]:
    """State, effects and workload after a refresh that brought an ended token."""
    p = played(player(), "loaded; go; probe ok")
    p.w, effects = machine.step(p.w, p.finished(Refreshed(Secret("ended"), refresh_token, 0.0)))
    return state_text(p.w, p.now.at), [effect_text(effect) for effect in effects], p.w


def test_an_ended_token_is_never_served_and_the_next_attempt_takes_its_time() -> None:
    """It counts as a busy server: short retry (M2), and no second answer like that within a second."""

    state, effects, w = _after(None)

    assert state == "waiting, due +10, short_retry/short_retry"
    assert "note attempt server_busy" in effects
    assert w.access is None
    assert w.last_error is not None
    assert "clock" in w.last_error.summary


def test_the_refresh_token_that_came_with_an_ended_token_is_kept() -> None:
    """Rotated is rotated: the old one may be spent."""

    _, effects, w = _after(Secret("L2"))

    assert "store L2 g2" in effects
    assert w.access is None
    assert not w.maybe_spent
