"""Planted bugs about logins without a refresh token, refusals and step-up; `planted_bugs.py` hunts them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

from trayapp.core import access_only, machine, messages, model, rechecks, storing
from trayapp.core.model import Moment, Phase, Trigger, Workload


def _table(phase: Phase, event: type[messages.Event], action: Any) -> AbstractContextManager[Any]:
    rows = {**machine.TABLE, phase: {**machine.TABLE[phase], event: action}}
    return mock.patch.object(machine, "TABLE", rows)


def _every_wake_asks() -> AbstractContextManager[Any]:
    def ask(w: Workload, e: messages.Woke) -> storing.Result:
        return replace(w, due=e.now.at, trigger=Trigger.WAKE), ()

    return _table(Phase.SIGNED_OUT, messages.Woke, ask)


def _never_checked() -> AbstractContextManager[Any]:
    return mock.patch.object(rechecks, "_next_check", return_value=None)


def _always_checked() -> AbstractContextManager[Any]:
    return mock.patch.object(rechecks, "_harmless", return_value=True)


def _deaf_to_clicks() -> AbstractContextManager[Any]:
    return _table(Phase.SIGNED_OUT, messages.Manual, machine.nothing)


def _one_is_enough() -> AbstractContextManager[Any]:
    return mock.patch.object(access_only, "CONFIRMATIONS", 1)


def _endless() -> AbstractContextManager[Any]:
    real = access_only.token_of

    def token_of(login: model.Login, now: Moment, serial: int) -> model.AccessToken:
        return replace(real(login, now, serial), expires_at=None)

    return mock.patch.object(access_only, "token_of", token_of)


def _scope_refreshes() -> AbstractContextManager[Any]:
    def refresh(w: Workload, e: messages.PermissionNeeded) -> storing.Result:
        return storing.forced_refresh(w, e.now), ()

    return _table(Phase.VALID, messages.PermissionNeeded, refresh)


def _declined_is_red() -> AbstractContextManager[Any]:
    def red(w: Workload, e: messages.SignInEnded) -> storing.Result:
        return storing.enter_signed_out(w, model.SignedOut.REFUSED), ()

    return _table(Phase.VALID, messages.SignInEnded, red)


Planted = tuple[str, Callable[[], AbstractContextManager[Any]], frozenset[str]]

LOGIN_BUGS: tuple[Planted, ...] = (
    ("a refused token is sent again after each wake", _every_wake_asks, frozenset({"refused"})),
    ("a refusal is never checked", _never_checked, frozenset({"refused"})),
    ("every refusal is checked", _always_checked, frozenset({"refused"})),
    ("Retry now does nothing after a refusal", _deaf_to_clicks, frozenset({"refused", "no refresh token"})),
    ("one 401 ends a login without a refresh token", _one_is_enough, frozenset({"no refresh token", "lost", "red"})),
    ("a login without a refresh token has no end", _endless, frozenset({"callers"})),
    ("insufficient_scope forces a refresh", _scope_refreshes, frozenset({"step-up"})),
    ("a declined sign-in ends the login", _declined_is_red, frozenset({"step-up", "red", "lost"})),
)
