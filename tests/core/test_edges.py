"""Limits, tables and defaults, each exactly at its edge: what the histories pass by without touching."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.replies import answer, outcome_of
from tests.core.states import LOGIN, NOW, PAGE, SPEC, VALID, token, work
from trayapp.core import machine, retry, schedule
from trayapp.core.checks import OK, PROBLEM, WARNING
from trayapp.core.classify import DESCRIPTION_MAX, FAULTS, SUMMARY_MAX, VERDICTS, classify
from trayapp.core.messages import (
    Configured,
    Finished,
    KeyringDown,
    KeyringUp,
    Loaded,
    NotStored,
    Rejected,
    Store,
    Stored,
)
from trayapp.core.model import (
    Attempt,
    Failing,
    Moment,
    Phase,
    Policy,
    Saved,
    Secret,
    Spec,
    Step,
    Trigger,
    Trouble,
    Workload,
)
from trayapp.core.outcomes import Ambiguous, Refreshed, Refused, ServerBusy
from trayapp.core.presentation import Verb
from trayapp.core.public import spec_json
from trayapp.core.quirks import provider_of
from trayapp.core.snapshot import Detail, Health, Status

# --- classification --------------------------------------------------------------------------------------------------


def test_every_kind_of_fault_has_its_own_sentence() -> None:
    """Those that `wire.py` and the engine name; one without a sentence would be shown as something unexpected."""

    kinds = {"dns", "refused", "unreachable", "connect_timeout", "tls", "proxy", "timeout", "reset", "eof", "truncated"}
    assert kinds | {"request", "internal"} == set(FAULTS)
    assert len(FAULTS) == len(set(FAULTS.values()))


@pytest.mark.parametrize(("status", "redirect"), [(299, False), (300, True), (399, True), (400, False)])
def test_what_is_called_a_redirect(status: int, redirect: bool) -> None:
    """300 to 399, and they look like a captive portal."""

    outcome = classify(answer(status, b"x", "text/plain"), "", NOW.wall)
    assert isinstance(outcome, ServerBusy)
    assert redirect is outcome.portal is ("redirected" in outcome.problem.summary)


@pytest.mark.parametrize(("words", "cut"), [(30, False), (31, True)])
def test_a_servers_explanation_has_120_characters_at_most(words: int, cut: bool) -> None:
    """So that our own sentence before it is always read whole."""

    said = " ".join(["abc"] * words) + "."
    outcome = outcome_of(400, {"error": "invalid_grant", "error_description": said})
    assert isinstance(outcome, Refused)
    _, _, shown = outcome.problem.summary.partition("It says: ")
    assert (120, cut) == (DESCRIPTION_MAX, shown != said)
    assert len(shown) <= DESCRIPTION_MAX


def test_a_summary_has_200_characters_at_most() -> None:
    """`Problem` promises it; the longest code that a server may send fills it."""

    outcome = outcome_of(400, {"error": "invalid_grant", "error_description": "a b " * 100, "code": "c" * 64})
    assert isinstance(outcome, Refused)
    assert len(outcome.problem.summary) <= 200 == SUMMARY_MAX


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("accounts.google.com", "google"),
        ("oauth2.googleapis.com", "google"),
        ("login.microsoftonline.com", "entra"),
        ("login.microsoftonline.us", "entra"),
        ("login.partner.microsoftonline.cn", "entra"),
        ("contoso.ciamlogin.com", "entra"),
        ("discord.com", "discord"),
        ("discordapp.com", "discord"),
        ("login.microsoftonline.us.example", ""),
    ],
)
def test_whose_host_it_is(host: str, name: str) -> None:
    """National clouds and old names are the same provider, with the same quirks."""

    assert name == provider_of(f"https://{host}/token")


def test_the_verdicts_of_the_standards() -> None:
    """Row 6: no other code ends a login without a row of `quirks.py`."""

    known = {"invalid_grant", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
    assert known | {"invalid_request", "invalid_token"} == set(VERDICTS)


@pytest.mark.parametrize(
    "code", ["invalid_refresh_token", "invalid_grant", "token_expired", "token_revoked", "account_inactive"]
)
def test_slack_s_words_for_a_login_that_has_ended(code: str) -> None:
    """In a 200, as all its answers."""

    assert isinstance(outcome_of(200, {"ok": False, "error": code}, provider="slack"), Refused)


@pytest.mark.parametrize(("status", "taken"), [(299, True), (300, False)])
def test_a_token_counts_in_a_success_only(status: int, taken: bool) -> None:
    """A redirect's body is not the server's answer."""

    assert taken is isinstance(outcome_of(status, {"access_token": "at-1"}), Refreshed)


@pytest.mark.parametrize(("status", "taken"), [(299, True), (300, False)])
def test_a_rotation_counts_in_a_success_only(status: int, taken: bool) -> None:
    """Also where no access token came with it."""

    outcome = outcome_of(status, {"refresh_token": "rt-2"})
    assert isinstance(outcome, ServerBusy)
    assert taken is (outcome.refresh_token is not None)


def test_a_damaged_answer_is_called_truncated() -> None:
    """Row 5: it may hold a token that nobody can read any more."""

    outcome = outcome_of(200, b'{"access_token": "at-')
    assert isinstance(outcome, Ambiguous)
    assert ("truncated", 200) == (outcome.problem.kind, outcome.problem.http_status)


def test_entra_s_reasons_are_told_apart() -> None:
    """By the AADSTS number in its description."""

    said = {"error": "unauthorized_client", "error_description": "AADSTS700016: Application was not found."}
    outcome = outcome_of(400, said, provider="entra")
    assert isinstance(outcome, Refused)
    assert "Microsoft tenant doesn't know" in outcome.problem.summary


def test_an_answer_s_body_is_in_no_repr() -> None:
    """It holds tokens, and a traceback or a debug line would show it."""

    assert "canary" not in repr(answer(200, {"access_token": "canary"}))


def test_a_busy_server_proves_nothing_by_itself() -> None:
    """What is not said of it is not so: the token is not spent, and it is no portal."""

    busy = ServerBusy(PAGE)
    assert (None, False, False, None) == (busy.retry_after, busy.maybe_spent, busy.portal, busy.refresh_token)


# --- the state machine -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [VALID, work(due=1000.0), work(Phase.PAUSED), work(Phase.SIGNED_OUT)])
def test_changed_timing_is_the_workloads_timing(before: Workload) -> None:
    """In every phase, and no effect comes of it."""

    changed = replace(SPEC, policy=Policy(tick_interval=7.0))
    after, effects = machine.step(before, Configured(NOW, changed))
    assert (changed, before.phase, ()) == (after.spec, after.phase, effects)


@pytest.mark.parametrize(("age", "strikes"), [(59.9, 1), (60.0, 0)])
def test_a_token_is_fresh_for_a_minute(age: float, strikes: int) -> None:
    """M18: a rejected token counts only before its minute is over."""

    w = replace(VALID, access=replace(token(), obtained_at=NOW.at - age))
    after, _ = machine.step(w, Rejected(NOW, 1))
    assert strikes == after.strikes


def test_the_waits_between_two_writes_of_a_login() -> None:
    """M14: a minute, five, fifteen, and fifteen from then on; each failed write takes one step."""

    w, now, waits = replace(VALID, slots_read=True, unsaved=True, storing=1, highest_generation=1), NOW, []
    for tries in (1, 2, 3, 4):
        w, _ = machine.step(w, NotStored(now, 1, "l", Trouble.FAILED))
        assert (tries, None) == (w.keyring_tries, w.storing)
        assert w.store_at is not None
        waits.append(w.store_at - now.at)
        now = Moment(w.store_at, now.awake + waits[-1], now.wall + waits[-1])
        w = replace(w, storing=1)
    assert [60.0, 300.0, 900.0, 900.0] == waits


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        pytest.param(NOW.at, [5.0, 10.0, 20.0, *[60.0] * 10, 900.0], id="just now"),
        pytest.param(NOW.at - 600.0, [60.0, 300.0, 900.0, 900.0], id="longer ago than any grace"),
        pytest.param(None, [60.0, 300.0, 900.0, 900.0], id="not at all"),
    ],
)
def test_a_locked_keyring_is_tried_sooner_while_a_token_is_in_doubt(
    marked: float | None, expected: list[float]
) -> None:
    """M9 and M14: the grace of the server is running, and a lock may be short."""

    w, now, waits = work(maybe_spent=marked is not None, marked_at=marked), NOW, []
    for number in range(1, len(expected) + 1):
        attempt = Attempt(number, Trigger.DUE, Step.PROBE, now, LOGIN.fingerprint(), "l")
        w, _ = machine.step(
            replace(w, phase=Phase.REFRESHING, attempt=attempt), KeyringDown(now, Trouble.LOCKED, number)
        )
        assert w.due is not None
        waits.append(w.due - now.at)
        now = Moment(w.due, now.awake + waits[-1], now.wall + waits[-1])
    assert expected == waits


@pytest.mark.parametrize(("grace", "pause"), [(30.0, 20.0), (600.0, 60.0), (19.0, None)])
def test_the_pause_while_a_grace_lasts(grace: float, pause: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """M9: a tenth of the grace, at least the last wait of the series, and nothing that would end after it."""

    monkeypatch.setattr(retry, "grace_of", lambda provider: grace)
    assert pause == retry._pause_within_grace(work(maybe_spent=True, marked_at=NOW.at), NOW)


def test_a_write_that_ends_changes_no_wait() -> None:
    """What waits for a server goes on to; only a running workload plans its refresh anew."""

    w = work(access=token(), due=1010.0, slots_read=True, unsaved=True, storing=1)
    after, _ = machine.step(w, Stored(NOW, 1, LOGIN.lineage))
    assert (Phase.WAITING, 1010.0, None, False) == (after.phase, after.due, after.storing, after.unsaved)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_waits_that_do_not_grow(factor: float) -> None:
    """M2 with a factor of one: each wait of the short retry is the first one."""

    policy = Policy(initial_retry_interval=2.0, max_retry_interval=8.0, retry_factor=factor, retry_jitter=0.0)
    assert [2.0] * 3 == [schedule.short_retry(tries, policy, 0.5) for tries in (0, 1, 2)]


def test_a_new_token_knows_its_end_by_both_clocks() -> None:
    """The wall clock's is shown, and compared after a restart."""

    w = work(Phase.REFRESHING, attempt=Attempt(1, Trigger.DUE, Step.SENT, NOW, LOGIN.fingerprint(), "l"))
    outcome = Refreshed(Secret("at-2"), expires_in=600.0)
    after, _ = machine.step(w, Finished(NOW, 1, LOGIN.fingerprint(), "l", outcome, 0.5, 2))
    assert after.access is not None
    assert (NOW.at + 600.0, NOW.wall + 600.0) == (after.access.expires_at, after.access.expires_wall)


def test_a_keyring_that_returns_moves_only_what_waits_for_it() -> None:
    """What waits for a server keeps its time."""

    server, keyring = work(due=1010.0), work(due=1900.0, keyring=Trouble.LOCKED, keyring_since=900.0, keyring_tries=2)
    assert 1010.0 == machine.step(server, KeyringUp(NOW))[0].due
    after, _ = machine.step(keyring, KeyringUp(NOW))
    assert (NOW.at, None, 0) == (after.due, after.keyring, after.keyring_tries)


@pytest.mark.parametrize(("stored", "written"), [(0, 3), (2, 3), (3, 4), (7, 8)])
def test_a_login_in_memory_is_written_above_what_the_slots_hold(stored: int, written: int) -> None:
    """A generation that is there already would lose the one or the other."""

    w = replace(VALID, login=replace(LOGIN, generation=3), unsaved=True, highest_generation=3)
    found = replace(LOGIN, generation=stored, lineage="other") if stored else None
    after, effects = machine.step(w, Loaded(NOW, found, Saved()))
    assert after.login is not None
    assert (written, written, written) == (after.login.generation, after.highest_generation, after.storing)
    assert [written] == [effect.login.generation for effect in effects if isinstance(effect, Store)]


def test_a_new_workload_waits_for_no_server() -> None:
    """M12 holds nothing back before a server has asked for it."""

    assert 0.0 == Workload(SPEC).not_before


def test_an_outage_begins_with_nothing_counted() -> None:
    """M6 counts from the first failure."""

    assert (0.0, None, 0, 0) == ((f := Failing(since=NOW)).counted, f.counting_from, f.tries, f.total)


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_a_secret_shows_three_stars() -> None:
    """In every way that a log line or a traceback might print it."""

    secret = Secret("canary")
    assert ["Secret(***)"] * 4 == [repr(secret), str(secret), f"{secret}", f"{secret!r}"]


def test_words_of_the_api() -> None:
    """Clients compare them; a new word is an addition, a changed one breaks them."""

    assert {
        *("starting", "running", "auth_retrying", "unauthenticated", "stopping", "stopped", "error", "unhealthy"),
        *("removing", "policy_stopped", "unknown"),
    } == {status.value for status in Status}
    assert {"healthy", "degraded", "unauthenticated", "unhealthy", "unknown"} == {health.value for health in Health}
    assert ("ok", "warning", "problem") == (OK, WARNING, PROBLEM)
    assert {
        *(
            "config_error",
            "confirm_change",
            "refused",
            "lost_rotation",
            "ended",
            "never_signed_in",
            "not_stored",
            "paused",
        ),
        *("keyring_locked", "keyring_unavailable", "upstream_rejects", "ceiling", "sleeping", "portal", "offline"),
        *("settling", "server_said_wait", "retrying", "refresh_delayed", "starting", "ok"),
    } <= {detail.value for detail in Detail}
    assert {
        *("retry", "retry_all", "reauthorize", "cancel_sign_in", "accept", "pause", "resume", "sign_out", "remove"),
        *("connect", "copy_error", "mute", "autostart", "show", "add", "quit"),
    } <= {verb.value for verb in Verb}


def test_a_configuration_names_its_client_twice() -> None:
    """In the words of the settings, and in ToolHive's beside them."""

    shown = spec_json(Spec("a", "https://a.example", "client-1", issuer="https://as.example", redirect_port=4567))
    assert ("client-1", "https://as.example", 4567) == (shown["client_id"], shown["issuer"], shown["redirect_port"])
    theirs = shown["oauth_config"]
    assert isinstance(theirs, dict)
    assert ("client-1", "https://as.example", 4567) == (theirs["client_id"], theirs["issuer"], theirs["callback_port"])


@pytest.mark.parametrize(
    ("saved", "waits"),
    [
        pytest.param(Saved(open_intent="f"), [5.0, 10.0, 20.0, *[60.0] * 10, 900.0], id="ended with a token in flight"),
        pytest.param(Saved(), [60.0, 300.0, 900.0, 900.0], id="otherwise"),
    ],
)
def test_a_start_reads_a_keyring_that_failed_sooner_if_a_token_was_in_flight(saved: Saved, waits: list[float]) -> None:
    """M14: the login can't be read, but state.db says that its token may be spent."""

    w, now = Workload(SPEC), NOW
    for wait in waits:
        w, _ = machine.step(w, KeyringDown(now, Trouble.FAILED, saved=saved))
        assert w.due == now.at + wait
        now = Moment(w.due, now.awake + wait, now.wall + wait)
