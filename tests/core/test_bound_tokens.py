"""Tokens that are bound to a login's key (RFC 9449): the key goes with the token, stays with the login, and decides nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.core.history import Player, access_only, played, player
from trayapp.core import access_only as rules
from trayapp.core import machine, view
from trayapp.core.classify import classify
from trayapp.core.gate import Gate
from trayapp.core.model import Phase, Secret
from trayapp.core.outcomes import Answer, Refreshed, ServerBusy
from trayapp.core.public import auth_json
from trayapp.core.sentences import bound_token

KEY = Secret('{"kty":"EC"}')


def sent() -> Player:
    """A bound login whose refresh request is under way."""
    p = played(player(), "loaded; go; probe ok")
    assert p.w.login is not None
    p.w = replace(p.w, login=replace(p.w.login, proof_key=KEY))
    return p


def told(p: Player) -> bool:
    """The field `bound` of the API."""
    return auth_json(view.derive(p.w, Gate(), p.now).auth)["bound"] is True


@pytest.mark.parametrize(("bound", "key"), [(True, KEY), (False, None)])
def test_the_token_says_what_it_is_bound_to(bound: bool, key: Secret | None) -> None:
    """A server that suddenly gives a plain one is taken at its word, unless a person set `dpop`; the login keeps its key."""

    p = sent()
    p.w, _ = machine.step(p.w, p.finished(Refreshed(Secret("a"), Secret("r2"), 1000.0, bound=bound)))
    assert p.w.access is not None
    assert p.w.login is not None
    assert key == p.w.access.proof_key
    assert KEY == p.w.login.proof_key
    assert "r2" == p.w.login.refresh_token.reveal()


def test_what_people_and_programs_are_told() -> None:
    """The login's key counts until there is a token, and the token's from then on."""

    p = sent()
    assert told(p)
    p.w, _ = machine.step(p.w, p.finished(Refreshed(Secret("a"), None, 1000.0, bound=True)))
    assert told(p)
    assert p.w.access is not None
    p.w = replace(p.w, access=replace(p.w.access, proof_key=None))
    assert not told(p)
    assert not told(player())
    assert not told(played(player(), "loaded"))


@pytest.mark.parametrize("keyed", [True, False])
def test_a_plain_token_is_discarded_where_a_person_wants_none(keyed: bool) -> None:
    """`dpop = true`: no token ever leaves as Bearer, but the login goes on with its new refresh token. A login of before,
    which has no key, is served until the next sign-in."""

    p = sent()
    assert p.w.login is not None
    spec, login = replace(p.w.spec, dpop=True), replace(p.w.login, proof_key=KEY if keyed else None)
    p.w, before = replace(p.w, spec=spec, login=login), p.w.access
    p.w, _ = machine.step(p.w, p.finished(Refreshed(Secret("a"), Secret("r2"), 1000.0)))
    assert p.w.login is not None
    assert "r2" == p.w.login.refresh_token.reveal()
    assert (p.w.access == before) is keyed
    assert ("isn't bound" in str(p.w.last_error)) is keyed


def test_a_bound_token_is_what_a_person_wants() -> None:
    p = sent()
    p.w = replace(p.w, spec=replace(p.w.spec, dpop=True))
    p.w, _ = machine.step(p.w, p.finished(Refreshed(Secret("a"), None, 1000.0, bound=True)))
    assert p.w.access is not None
    assert KEY == p.w.access.proof_key


def test_a_bound_login_without_refresh_token() -> None:
    """Its access token is bound from the first moment."""

    p = player()
    assert KEY == rules.token_of(replace(access_only(p.now), proof_key=KEY), p.now, 1).proof_key


@pytest.mark.parametrize(
    ("token_type", "bound"), [("DPoP", True), ("dpop", True), ("Bearer", False), (None, False), (7, False)]
)
def test_the_type_of_a_token(token_type: object, bound: bool) -> None:
    """In any case of letters (RFC 6749 section 7.1)."""

    body = json.dumps({"access_token": "a", "token_type": token_type}).encode()
    outcome = classify(Answer(200, {"content-type": "application/json"}, body))
    assert isinstance(outcome, Refreshed)
    assert bound is outcome.bound


@pytest.mark.parametrize("code", ["use_dpop_nonce", "invalid_dpop_proof"])
def test_what_is_wrong_with_a_proof_is_no_verdict(code: str) -> None:
    """The login is kept, and so is the token in it."""

    p = sent()
    outcome = classify(Answer(400, {"content-type": "application/json"}, json.dumps({"error": code}).encode(), True))
    assert isinstance(outcome, ServerBusy)
    before = p.w.login
    p.w, _ = machine.step(p.w, p.finished(outcome))
    assert Phase.WAITING is p.w.phase
    assert before == p.w.login
    assert not p.w.maybe_spent


def test_the_refusal_says_how_to_connect() -> None:
    """A program that asks for the token learns what to use in its place."""

    assert "amberlight client-config mail" in bound_token("mail")
