"""Whose login it is: shown with the workload, updated by refreshes, gone with the login."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.history import Player, played, player
from tests.core.test_id_claims import ISSUER, alices, token
from trayapp.core import machine
from trayapp.core import messages as m
from trayapp.core.classify import classify
from trayapp.core.gate import Gate
from trayapp.core.model import AccessToken, Login, Phase, Problem, Secret
from trayapp.core.outcomes import Answer, Refreshed, ServerBusy
from trayapp.core.public import auth_json, list_row_json, status_json
from trayapp.core.view import derive

OLD, NEW = "alice@example.com", "new@example.com"


def sent(account: str = OLD, **changes: Any) -> Player:
    """A workload of Alice's whose refresh request is under way."""
    p = played(player(), "loaded; go; probe ok")
    assert p.w.login is not None
    hers = replace(p.w.login, issuer=ISSUER, subject="alice", account=account, **changes)
    p.w = replace(p.w, login=hers)
    return p


def answered(p: Player, rotated: str = "", verified: bool = True, **said: Any) -> tuple[m.Effect, ...]:
    """The answer arrives, with an ID token that says this, if anything; the effects."""
    now = p.now.wall
    id_token = token(**{"aud": "c", "iat": now, "exp": now + 300, **said}) if said else None
    outcome = Refreshed(Secret("a"), Secret(rotated) if rotated else None, 1000.0, None, id_token, verified=verified)
    p.w, effects = machine.step(p.w, p.finished(outcome))
    return effects


def shown(p: Player) -> object:
    return auth_json(derive(p.w, Gate(), p.now).auth)["account"]


def held(p: Player) -> Login:
    assert p.w.login is not None
    return p.w.login


def test_the_account_is_part_of_every_view() -> None:
    """Of the list and of the status; null if nobody knows it."""

    for account, said in ((OLD, OLD), ("", None)):
        view = derive(sent(account).w, Gate(), player().now)
        row = list_row_json(view, port=1, created_at=0.0, started_at=0.0)
        for made in (row, status_json(view)):
            assert isinstance(made["auth"], dict)
            assert said == made["auth"]["account"]


@pytest.mark.parametrize("odd", ["\u202eevil", "\x1b[31m", "\ud800", " ", "x" * 10_240])
def test_a_text_that_somebody_put_into_the_keyring_is_not_shown(odd: str) -> None:
    """Whatever is stored, only what would have been stored is shown."""

    assert shown(sent(odd)) is None


def test_a_rotated_login_is_stored_with_the_new_account() -> None:
    """With the write that is due anyway."""

    p = sent()
    fingerprint = p.w.attempt.fingerprint if p.w.attempt else ""
    effects = answered(p, "L2", email=NEW)
    assert m.Store(held(p), fingerprint) in effects
    assert (Secret("L2"), NEW, 2) == (held(p).refresh_token, held(p).account, held(p).generation)
    assert NEW == shown(p)


def test_without_rotation_only_another_account_is_written() -> None:
    """As the next generation of the same refresh token. Then the attempt ends as usual."""

    p = sent()
    before = held(p)
    effects = answered(p, email=NEW)
    assert replace(before, account=NEW, generation=2) == held(p)
    assert 2 == p.w.highest_generation == p.w.storing
    assert [m.Note, m.Store] == [type(each) for each in effects]
    p.w, effects = machine.step(p.w, m.Stored(p.now, 2, held(p).lineage))
    assert (Phase.VALID, False, NEW) == (p.w.phase, p.w.unsaved, shown(p))

    less: tuple[dict[str, Any], ...] = ({}, {"email": OLD}, {"name": "Alice"})
    for said in less:
        p = sent()
        effects = answered(p, **said)
        assert not any(isinstance(each, m.Store) for each in effects)
        assert (before, Phase.VALID) == (held(p), p.w.phase)


def test_a_login_whose_slots_were_not_read_keeps_its_account() -> None:
    """It is written as soon as they are, so the next refresh is early enough."""

    p = sent()
    p.w = replace(p.w, slots_read=False)
    answered(p, email=NEW)
    assert (OLD, 1) == (held(p).account, held(p).generation)


@pytest.mark.parametrize("said", [{}, {"sub": "bob", "email": NEW}, {"aud": "other", "email": NEW}])
def test_a_refresh_that_proves_nothing_keeps_the_account(said: dict[str, Any]) -> None:
    """No ID token, or one of or for somebody else: the login is rotated, and nobody is renamed."""

    p = sent()
    answered(p, "L2", **said)
    assert (Secret("L2"), OLD) == (held(p).refresh_token, held(p).account)


def test_an_answer_that_somebody_else_can_have_written_keeps_the_account() -> None:
    """Only where the certificate was verified, or on this machine, TLS stands for the signature."""

    p = sent()
    answered(p, "L2", verified=False, email=NEW)
    assert OLD == held(p).account
    p = sent()
    p.w, _ = machine.step(p.w, p.finished(ServerBusy(Problem("http", "Busy."), refresh_token=Secret("L2"))))
    assert (Secret("L2"), OLD) == (held(p).refresh_token, held(p).account)
    body = b'{"access_token": "a"}'
    for verified in (True, False):
        outcome = classify(Answer(200, {}, body, verified))
        assert isinstance(outcome, Refreshed)
        assert verified is outcome.verified


def test_a_late_answer_brings_its_account() -> None:
    """Its refresh token is stored, so what came with it is, too."""

    p = sent()
    answer = p.finished(
        Refreshed(Secret("a"), Secret("L2"), 1000.0, None, token(aud="c", email=NEW, iat=1), verified=True)
    )
    p.w, _ = machine.step(p.w, m.Pause(p.now))
    p.w, _ = machine.step(replace(p.w, attempt=None, phase=Phase.PAUSED, after=""), answer)
    assert (Secret("L2"), NEW) == (held(p).refresh_token, held(p).account)


def test_signing_in_replaces_and_signing_out_removes_it() -> None:
    """A login without an ID token is nobody's."""

    p = sent()
    answered(p)
    bob = replace(alices("bob@example.com"), subject="bob", lineage="B")
    p.w, _ = machine.step(p.w, m.SignedIn(p.now, bob, AccessToken(9, Secret("a"), p.now.at, None)))
    assert "bob@example.com" == shown(p)
    p.w, _ = machine.step(p.w, m.Stored(p.now, held(p).generation, "B"))
    p.w, _ = machine.step(p.w, m.SignOut(p.now))
    assert shown(p) is None
    plain = replace(alices(""), subject="", lineage="C")
    p.w, _ = machine.step(p.w, m.SignedIn(p.now, plain, AccessToken(10, Secret("a"), p.now.at, None)))
    assert shown(p) is None


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda each: st.lists(each, max_size=3))


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("sub", "aud", "email", "preferred_username", "name"), JSON)))
def test_no_claim_costs_the_login(said: dict[str, Any]) -> None:
    """Whatever the server says of the person, the rotated login is stored and its token served."""

    p = sent()
    answered(p, "L2", **said)
    assert (Secret("L2"), True) == (held(p).refresh_token, p.w.access is not None)
    told = shown(p)
    assert isinstance(told, str)
    assert told.isprintable()


def test_no_representation_has_the_account() -> None:
    """What a log or a traceback may show of a login, a view or an event."""

    p = sent()
    effects = answered(p, "L2", email=NEW)
    for each in (held(p), derive(p.w, Gate(), p.now), p.w, effects):
        assert "example.com" not in repr(each).replace("as.example", "")
