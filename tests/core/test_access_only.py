"""Logins without a refresh token: kept, served, reminded of, and red only at their end or after a confirmed 401."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.history import access_only, aligned, login, play, played, player
from trayapp.core import access_only as rules
from trayapp.core import deadlines, machine, notices, view
from trayapp.core import messages as m
from trayapp.core.advice import advice
from trayapp.core.gate import Gate
from trayapp.core.menu import tray_view
from trayapp.core.model import Moment, Phase, Secret, SignedOut
from trayapp.core.notices import ShownNotices
from trayapp.core.permission import Needs
from trayapp.core.public import auth_json
from trayapp.core.sentences import short
from trayapp.core.snapshot import Detail, Snapshot, Status, WorkloadView

DAY = 86400.0
YEAR = 365 * DAY


def history(text: str, *, after: str = "") -> None:
    """The events on the left have the effects on the right."""
    p = player()
    if after:
        played(p, after)
    assert aligned(text) == play(text, p)


def shown(text: str) -> WorkloadView:
    """The workload as people see it after these events."""
    p = played(player(), text)
    return view.derive(p.w, Gate(), p.now)


def test_a_start_serves_the_stored_token_and_attempts_nothing() -> None:
    """No probe, no request, no deadline: there is nothing to refresh with."""

    p = player()
    assert aligned("loaded access-only -> valid") == play("loaded access-only", p)
    assert p.w.access is not None
    assert ("A-access", None, p.serial) == (p.w.access.value.reveal(), p.w.access.expires_at, p.w.access.serial)
    assert deadlines.opens_at(p.w, Gate()) is None
    assert deadlines.next_deadline(p.w, Gate()) is None


def test_a_sign_in_without_a_refresh_token_is_kept_for_a_year() -> None:
    """M1's cap of 30 days makes refreshes more frequent; it doesn't end what can't be refreshed."""

    history(
        f"""
        loaded none                       -> signed_out, never_signed_in
        signed-in access-only {YEAR:.0f}   -> valid | store A-access g1, note sign_in signed_in
        stored                            -> valid | save
        +{40 * DAY:.0f} time               -> valid
        +{325 * DAY - 11:.0f} time         -> valid
        +1 time                           -> signed_out, ended | save, note phase ended
        +60 time                          -> signed_out, ended
        """
    )


def test_its_end_is_a_deadline() -> None:
    """The engine looks at the clocks when it ends, and not before."""

    p = played(player(), "loaded access-only 1000")
    assert p.now.at + 990.0 == deadlines.next_deadline(p.w, Gate())
    assert deadlines.next_deadline(replace(p.w, after="shutdown"), Gate()) is None


@pytest.mark.parametrize(
    "event", ["manual", "hot 5000", "network", "wake", "sleep", "go", "keyring locked", "unreachable", "time"]
)
def test_nothing_makes_it_attempt_a_refresh(event: str) -> None:
    """Whatever asks for a new token, none can be had."""

    history(f"{event} -> valid", after="loaded access-only 1000")


def test_an_end_that_came_while_the_program_was_away_is_red_at_the_start() -> None:
    """Nothing is sent, and nothing is in doubt."""

    history("loaded access-only -5 -> signed_out, ended | save, note phase ended")


def test_a_clock_that_was_wrong_costs_nothing() -> None:
    """The end is wall time. Set right, the clock counts as a wake, and the login is read and served again."""

    p = played(player(), "loaded access-only -5")
    assert aligned("wake -> signed_out, ended") == play("wake", p)
    p.now = replace(p.now, wall=p.now.wall - 1000.0)
    assert aligned("wake -> signed_out, ended | load") == play("wake", p)
    p.w, _ = machine.step(p.w, m.Loaded(p.now, p.w.login, serial=7))
    assert (Phase.VALID, None) == (p.w.phase, p.w.signed_out)


@pytest.mark.parametrize(("step", "left"), [(-300.0, 1290.0), (300.0, 690.0), (0.0, 990.0)])
def test_the_end_moves_with_a_clock_that_is_set(step: float, left: float) -> None:
    """It is neither red early nor served beyond its end; the token itself stays the same."""

    p = played(player(), "loaded access-only 1000")
    before = p.w.access
    p.now = replace(p.now, wall=p.now.wall + step)
    played(p, "wake")
    assert p.now.at + left == deadlines.next_deadline(p.w, Gate())
    assert before is not None
    assert p.w.access is not None
    assert (before.serial, before.value) == (p.w.access.serial, p.w.access.value)


def test_a_clock_that_is_set_beyond_the_end_ends_it() -> None:
    """What the upstream rejected before stays rejected."""

    p = played(player(), "loaded access-only 1000")
    p.now = replace(p.now, wall=p.now.wall + 1000.0)
    assert aligned("wake -> signed_out, ended | save, note phase ended") == play("wake", p)


def test_retry_now_on_an_ended_login_looks_for_another() -> None:
    """The same one stays ended, without a second row of history."""

    history(
        """
        manual              -> signed_out, ended | load with prompt, read configuration
        loaded access-only -5 -> signed_out, ended
        loaded 4            -> waiting, due +0, due/manual
        """,
        after="loaded access-only -5",
    )


def test_one_401_proves_nothing() -> None:
    """Two requests at least 10 s apart, both invalid_token: then it is red, and stays so after a restart."""

    history(
        """
        rejected invalid      -> valid, 1 strikes
        +9 rejected invalid   -> valid, 1 strikes
        +1 rejected invalid 9 -> valid, 1 strikes
        rejected invalid      -> signed_out, refused | save, note phase refused
        manual                -> signed_out, refused | load with prompt, read configuration
        """,
        after="loaded access-only",
    )
    history("loaded access-only refused -> signed_out, refused")


def test_a_success_between_two_401s_clears_the_first() -> None:
    """The service was mistaken, or the request was."""

    history(
        """
        rejected invalid     -> valid, 1 strikes
        +20 accepted         -> valid
        rejected invalid     -> valid, 1 strikes
        +10 rejected         -> valid, 2 strikes
        +10 rejected         -> valid, 3 strikes
        +10 rejected         -> valid, 3 strikes
        accepted             -> valid
        """,
        after="loaded access-only",
    )


def test_a_401_without_a_code_makes_it_unhealthy_and_never_ends_it() -> None:
    """Such an answer may be about the request; a person is told where to look."""

    seen = shown("loaded access-only; rejected; +10 rejected; +10 rejected")

    assert (Status.UNHEALTHY, Detail.UPSTREAM_REJECTS, True) == (seen.status, seen.auth.detail, seen.auth.usable)
    assert "If it has access, choose Reauthorize" in seen.status_context
    assert "reauthorize" == advice(seen)[0]


def test_the_verdict_says_who_refused_it() -> None:
    """The reason names the service and the code."""

    seen = shown("loaded access-only; rejected invalid; +10 rejected invalid")

    assert (Status.UNAUTHENTICATED, Detail.REFUSED, False) == (seen.status, seen.auth.detail, seen.auth.usable)
    assert "The service no longer accepts this login (invalid_token)" in seen.status_context
    error = seen.auth.last_error
    assert error is not None
    assert ("oauth", 401, "invalid_token") == (error.kind, error.http_status, error.code)


def test_a_pause_and_a_restart_keep_it() -> None:
    """Paused, it serves nothing; resumed, it is read and served."""

    history(
        """
        pause                       -> paused | save, note phase paused
        rejected invalid            -> paused
        resume                      -> loading | save, check A-access g1, load, note phase resumed
        loaded access-only          -> valid
        """,
        after="loaded access-only",
    )
    history("loaded access-only paused -> paused")


def test_it_survives_a_keyring_that_cannot_be_written() -> None:
    """Served from memory, the write is repeated, and paused and resumed meanwhile it is not lost."""

    history(
        """
        signed-in access-only -> valid | store A-access g1, note sign_in signed_in
        not-stored            -> valid, unsaved
        pause                 -> paused, unsaved | save, note phase paused
        resume                -> loading, unsaved | save, load, note phase resumed
        loaded none           -> valid | store A-access g1
        stored                -> valid | save
        """,
        after="loaded none",
    )


def test_a_keyring_that_was_replaced_gets_it_again() -> None:
    """Like any login: it is looked for, and written once more."""

    p = played(player(), "loaded access-only")
    assert aligned("keyring up -> valid | check A-access g1") == play("keyring up", p)
    p.w, effects = machine.step(p.w, m.LoginMissing(p.now, 1, "A"))
    assert (p.w.login,) == tuple(each.login for each in effects if isinstance(each, m.Store))
    assert aligned("stored -> valid | save") == play("stored", p)


def test_a_later_sign_in_may_bring_a_refresh_token() -> None:
    """From then on it is like any other login; and the other way round, refreshing ends."""

    history(
        """
        signed-in             -> valid, due +800 | store N1 g2, note sign_in signed_in
        stored                -> valid, due +800 | save
        signed-in access-only -> valid | store A-access g3, note sign_in signed_in
        stored                -> valid | save
        configured timing     -> valid
        """,
        after="loaded access-only 5000",
    )


def test_a_sign_out_revokes_and_deletes_it() -> None:
    """Like any login; a removal does the same."""

    history(
        "sign-out -> signed_out, never_signed_in | discard A-access and revoke, save, note phase signed_out",
        after="loaded access-only; rejected invalid; permission write",
    )
    history("remove -> paused, after remove | forget A-access and revoke", after="loaded access-only")


def test_a_read_from_before_a_sign_out_brings_nothing_back() -> None:
    """The keyring's answer was under way when the person signed out; a newer login is another matter."""

    history(
        """
        sign-out             -> signed_out, never_signed_in | discard A-access and revoke, save, note phase signed_out
        loaded access-only   -> signed_out, never_signed_in
        loaded 1             -> signed_out, never_signed_in
        loaded 2             -> waiting, due +0, due/manual
        """,
        after="loaded access-only; pause; resume",
    )


def test_what_a_restart_needs_is_computed_from_wall_time() -> None:
    """A token of a year, loaded after half of it, has the other half left."""

    kept = access_only(Moment(5.0, 5.0, 1000.0), YEAR)
    late = Moment(100.0, 100.0, 1000.0 + YEAR / 2)
    token = rules.token_of(kept, late, 3)
    assert (3, 100.0 - YEAR / 2, 100.0 + YEAR / 2, 1000.0 + YEAR) == (
        token.serial,
        token.obtained_at,
        token.expires_at,
        token.expires_wall,
    )
    early = rules.token_of(kept, Moment(100.0, 100.0, 0.0), 3)  # the clock was set back
    assert 100.0 == early.obtained_at


def test_without_a_login_there_is_nothing_to_serve() -> None:
    """The rules ask no more than what is there."""

    w = player().w
    now = Moment(0.0, 0.0, 0.0)
    assert (w, ()) == rules.serve(w, now, 1)
    assert (w, ()) == rules.rejected(w, m.Rejected(now, 1))
    assert not rules.is_over(login(), now)
    assert rules.remind_at(login()) is None


def test_it_is_shown_as_what_it_is() -> None:
    """Green, with one sentence that says what will happen; the API has it as facts."""

    endless, year = shown("loaded access-only"), shown(f"loaded access-only {YEAR:.0f}")
    assert "ends on 1970-01-12 at 14:46 (UTC)" in shown("loaded access-only 3600").status_context

    assert (Status.RUNNING, Detail.OK) == (endless.status, endless.auth.detail)
    assert "The login can't be renewed; its end isn't known." == endless.status_context
    assert "ends on 1971-01-12 (UTC)" in year.status_context
    assert (False, None) == (endless.auth.renewable, endless.auth.login_ends_at)
    told = auth_json(year.auth)
    assert (False, "1971-01-12T13:46:40.000Z") == (told["renewable"], told["login_ends_at"])
    assert ("", "") == advice(endless)
    red = shown("loaded access-only -5")
    assert (Status.UNAUTHENTICATED, Detail.ENDED) == (red.status, red.auth.detail)
    assert "reauthorize" == advice(red)[0]
    assert "Sign-in needed" == short(red, str)


def test_a_person_is_reminded_a_day_before_its_end() -> None:
    """Once, and withdrawn by a sign-in. A token of an hour is no reason to remind right after the sign-in."""

    p = played(player(), f"loaded access-only {YEAR:.0f}")
    at = view.next_change(p.w, Gate(), p.now)
    assert at is not None
    assert at == pytest.approx(p.now.at + YEAR - DAY, abs=0.1)
    before = Snapshot(1, {"w": view.derive(p.w, Gate(), p.now)})
    p.pass_time(YEAR - DAY + 1)
    seen = view.derive(p.w, Gate(), p.now)
    soon = Snapshot(2, {"w": seen})
    assert (Status.RUNNING, True) == (seen.status, seen.auth.ends_soon)
    assert "Connected, sign-in ends soon" == short(seen, str)
    assert ("reauthorize", "Reauthorize before then to stay signed in.") == advice(seen)

    memory, show, _ = notices.notices(ShownNotices(), before, frozenset(), p.now.wall)
    assert () == show
    quiet, show, _ = notices.notices(memory, replace(soon, muted=True), frozenset(), p.now.wall)
    assert () == show
    memory, (notice,), _ = notices.notices(quiet, soon, frozenset(), p.now.wall)
    assert ("ending:w", "Your sign-in to w ends soon") == (notice.key, notice.title)
    again, show, dropped = notices.notices(memory, soon, frozenset(), p.now.wall)
    assert ((), ()) == (show, dropped)
    forgotten = notices.forget(again, {"ending:w"})
    assert 1 == len(notices.notices(forgotten, soon, frozenset(), p.now.wall)[1])
    assert ("ending:w",) == notices.notices(again, before, frozenset(), p.now.wall)[2]
    assert 1800.0 == (rules.remind_at(access_only(Moment(0.0, 0.0, 0.0), 3600.0)))


def test_fingerprints_differ_by_the_access_token() -> None:
    """A verdict is about one token; a login with a refresh token keeps the fingerprint that state.db knows."""

    one = access_only(Moment(0.0, 0.0, 0.0))
    other = replace(one, access_token=Secret("B"))
    assert one.fingerprint() != other.fingerprint()
    assert login().fingerprint() == replace(login(), access_token=Secret("B")).fingerprint()
    assert replace(one, access_token=None).fingerprint() == replace(other, access_token=None).fingerprint()


def test_ended_survives_a_restart_as_a_reason() -> None:
    """What state.db keeps is only a record: the end is in the login itself."""

    p = played(player(), "loaded access-only -5")
    assert SignedOut.ENDED is machine.saved(p.w, p.now).signed_out


def test_the_reminder_depends_on_the_life_and_not_on_the_date() -> None:
    """Half of a short life; a day of a long one; never of what ended before it began."""

    for life, before in ((3600.0, 1800.0), (3 * DAY, DAY), (YEAR, DAY), (-5.0, 0.0)):
        kept = access_only(Moment(5.0, 5.0, 1e9), life)
        assert 1e9 + life - before == rules.remind_at(kept)
    assert rules.remind_at(access_only(Moment(5.0, 5.0, 1e9))) is None
    ends = access_only(Moment(5.0, 5.0, 1e9), 60.0)
    assert [False, True] == [rules.is_over(ends, Moment(5.0, 5.0, at)) for at in (1e9 + 59.9, 1e9 + 60.0)]
    assert 99 * YEAR < rules.LIFE_MAX < 101 * YEAR


def test_retry_now_is_offered_where_it_can_help() -> None:
    """Not while the token is served; in red it looks for another login."""

    def offered(text: str) -> bool:
        menu = tray_view(Snapshot(1, {"w": shown(text)}), str).menu
        (item,) = [each for each in menu if each.key == "workload:w"]
        return next(each.enabled for each in item.items if each.key == "retry:w")

    assert offered("loaded; go; probe ok; refreshed")
    assert not offered("loaded access-only")
    assert offered("loaded access-only -5")
    assert not offered("loaded access-only; pause")


def test_retry_now_after_a_verdict_prefers_another_login() -> None:
    """The keyring has another one by now, renewable or not: the refused one isn't served in its place."""

    refused = "loaded access-only; rejected invalid; +10 rejected invalid; manual"
    history("loaded 4 asked -> waiting, due +0, due/manual", after=refused)

    p = played(player(), refused)
    assert p.w.login is not None
    other = replace(p.w.login, access_token=Secret("B-access"), generation=9)
    p.w, _ = machine.step(p.w, m.Loaded(p.now, other, serial=9, asked=True))
    assert p.w.access is not None
    assert (Phase.VALID, "B-access", 0) == (p.w.phase, p.w.access.value.reveal(), p.w.strikes)
    assert () == p.w.rejections


def test_another_login_is_asked_for_nothing_that_the_first_one_lacked() -> None:
    """What an upstream wanted beyond the refused login may be granted to the one that the keyring has by now."""

    p = played(player(), "loaded access-only")
    needs = Needs(permission=True, scopes=("write",))
    p.w, _ = machine.step(p.w, m.PermissionNeeded(p.now, p.serial, needs))
    assert (Phase.VALID, needs) == (p.w.phase, p.w.needs)
    w = played(p, "rejected invalid; +10 rejected invalid; loaded 4").w
    assert (Phase.WAITING, None) == (w.phase, w.needs)


def test_retry_now_after_a_verdict_serves_it_once_more() -> None:
    """The service may have been wrong twice. One more invalid_token is enough; a 2xx clears all of it."""

    refused = "loaded access-only; rejected invalid; +10 rejected invalid; manual"
    history(
        """
        loaded access-only       -> signed_out, refused
        loaded access-only asked -> valid, 1 strikes | save, note phase retried
        +5 rejected invalid      -> valid, 1 strikes
        +5 rejected invalid      -> signed_out, refused | save, note phase refused
        manual                   -> signed_out, refused | load with prompt, read configuration
        loaded access-only asked -> valid, 1 strikes | save, note phase retried
        accepted                 -> valid
        +20 rejected invalid     -> valid, 1 strikes
        """,
        after=refused,
    )
    p = played(player(), refused)
    assert p.w.login is not None
    nearly = replace(p.w.login, obtained_at=p.now.wall - DAY, expires_at=p.now.wall + 5.0)  # within the margin
    p.w, _ = machine.step(replace(p.w, login=nearly), m.Loaded(p.now, nearly, serial=9, asked=True))
    assert (Phase.SIGNED_OUT, SignedOut.ENDED) == (p.w.phase, p.w.signed_out)
