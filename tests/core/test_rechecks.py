"""M7 after a verdict: *Retry now* tries once, and Amberlight checks again twice where that can do no harm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.history import ENDPOINT, Player, aligned, login, play, played, player, reached
from trayapp.core import deadlines, gate, machine, view
from trayapp.core.gate import Gate
from trayapp.core.model import Moment, Phase, Saved, SignedOut, Trigger
from trayapp.core.quirks import may_recheck
from trayapp.core.refusal import Refusal
from trayapp.core.sentences import short
from trayapp.core.snapshot import Detail, Status, WorkloadView

KEPT = "note attempt refused, save, close intent"


def check(text: str, p: Player | None = None) -> Player:
    """Play a history and compare it with what really happened."""
    p = p or player()
    assert aligned(text) == play(text, p)
    return p


def refused(code: str = "invalid_client", p: Player | None = None) -> Player:
    """A login that the server has just refused."""
    return played(p or player(), f"loaded; go; probe ok; refused {code}")


def shown(p: Player) -> WorkloadView:
    return view.derive(p.w, Gate(), p.now)


def test_retry_now_after_a_refusal_is_one_real_attempt() -> None:
    """A click sends the refused token once; the next refusal says why, and nothing follows."""

    p = check(
        """
        manual              -> signed_out, refused | load with prompt, read configuration
        loaded asked        -> signed_out, due +1, manual, refused
        +1 go                -> refreshing:probe, refused | save, probe #2 with prompt
        loaded asked        -> refreshing:probe, refused
        probe ok            -> refreshing:sent, refused | send #2 L1
        +3 refused invalid_scope -> signed_out, refused | note attempt refused, save, close intent
        loaded              -> signed_out, refused
        go                  -> signed_out, refused
        time                -> signed_out, refused
    """,
        refused("invalid_grant"),
    )

    assert "oauth 400invalid_scope" in shown(p).status_context
    assert (Status.UNAUTHENTICATED, Detail.REFUSED) == (shown(p).status, shown(p).auth.detail)
    assert (p.now.wall - 4.0, p.now.wall) == (shown(p).auth.refused_at, shown(p).auth.rechecked_at)
    assert "Sign-in needed, checked again at 10:42" == short(shown(p), lambda wall: "10:42")


@pytest.mark.parametrize("answer", ["refreshed", "refreshed rotated", "refreshed same"])
def test_a_mistaken_refusal_ends_with_the_first_token(answer: str) -> None:
    """Success leads to running, and the verdict is forgotten."""

    p = played(refused("invalid_grant"), f"manual; loaded asked; go; probe ok; {answer}")
    if p.w.storing is not None:
        played(p, "stored")

    assert (Phase.VALID, None, "", None) == (p.w.phase, p.w.signed_out, p.w.combination, p.w.refusal)
    assert Status.RUNNING is shown(p).status
    assert machine.saved(p.w, p.now).refusal is None


@pytest.mark.parametrize(
    ("answer", "marks", "effects"),
    [
        ("not-sent tls", "", "note attempt not_sent, close intent, save"),
        ("busy 503 after 30", "", "note attempt server_busy, close intent, save"),
        ("busy 502", ", marked", "note attempt server_busy, save"),
        ("ambiguous", ", marked", "note attempt ambiguous, save"),
    ],
)
def test_a_check_that_proves_nothing_leaves_the_login_red(answer: str, marks: str, effects: str) -> None:
    """The last error says what happened, the sentence still why it is red, and no retry follows."""

    p = refused("invalid_grant")
    played(p, "manual; loaded asked; go; probe ok")
    waits = ", not before +30" if "after" in answer else ""
    check(f"{answer} -> signed_out{marks}, refused{waits} | {effects}", p)

    assert p.w.last_error is not None
    assert p.w.last_error.summary not in shown(p).status_context
    assert "invalid_grant" in shown(p).status_context
    assert deadlines.opens_at(p.w, Gate()) is None


def test_a_refused_login_that_reappears_is_not_tried() -> None:
    """The keyring was empty at the start, so the workload was never signed in as far as this run knows."""

    p = player(signed_out=SignedOut.REFUSED, combination=login().fingerprint())
    check(
        """
        loaded none         -> signed_out, never_signed_in
        manual              -> signed_out, never_signed_in | load with prompt, read configuration
        loaded asked        -> signed_out, never_signed_in
    """,
        p,
    )


def test_a_lost_rotation_stays_one() -> None:
    """Only a click tries it again, and a second refusal is the same loss."""

    p = played(reached(Phase.REFRESHING), "ambiguous; go; probe ok; refused")
    check(
        """
        +9000 time          -> signed_out, lost_rotation
        manual              -> signed_out, lost_rotation | load with prompt, read configuration
        loaded asked        -> signed_out, due +0, manual, lost_rotation
        go                  -> refreshing:probe, lost_rotation | save, probe #3 with prompt
        probe ok            -> refreshing:sent, lost_rotation | send #3 L1
        refused             -> signed_out, lost_rotation | note attempt refused, save, close intent
    """,
        p,
    )

    assert 1 == p.w.lost_rotations


def test_it_checks_again_after_ten_minutes_and_an_hour() -> None:
    """Quietly, twice, and never more: the status stays, and no caller waits for it."""

    p = check(
        """
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        probe ok            -> refreshing:sent | send #1 L1
        refused invalid_client -> signed_out, due +600, recheck, refused | note attempt refused, save, close intent
        +600 go             -> refreshing:probe, refused | save, probe #2
        probe ok            -> refreshing:sent, refused | send #2 L1
        refused invalid_client -> signed_out, due +3000, recheck, refused | note attempt refused, save, close intent
        +3000 go            -> refreshing:probe, refused | save, probe #3
        probe ok            -> refreshing:sent, refused | send #3 L1
        refused unauthorized_client -> signed_out, refused | note attempt refused, save, close intent
    """
    )

    assert p.w.refusal is not None
    assert 2 == p.w.refusal.checks


def test_nothing_is_announced_while_it_checks() -> None:
    """`unauthenticated` and `refused`, with the same `since`, before, while and after."""

    p = refused()
    before = shown(p)
    assert "checks again within the hour" in before.status_context
    assert p.now.wall + 600.0 == before.auth.next_attempt_at
    for events in ("+600 go", "probe ok", "not-sent"):
        played(p, events)
        now = view.derive(p.w, Gate(), p.now, before)
        assert (before.status, before.auth.detail, before.auth.since, before.colour) == (
            now.status,
            now.auth.detail,
            now.auth.since,
            now.colour,
        )


def test_a_login_that_was_never_rotated_is_checked_whatever_the_code() -> None:
    """As the sign-in gave it, nobody else can have replaced it; after a rotation an invalid_grant is left alone."""

    p = played(player(), "loaded none; signed-in; stored; +800 go; probe ok")
    check(f"refused -> signed_out, due +600, recheck, refused | {KEPT}", p)

    p = played(
        player(), "loaded none; signed-in; stored; +800 go; probe ok; refreshed rotated; stored; +800 go; probe ok"
    )
    check(f"refused -> signed_out, refused | {KEPT}", p)


def test_that_it_was_never_rotated_survives_a_restart() -> None:
    """It's the token that is remembered, so another login isn't mistaken for it."""

    check(f"""
        loaded original     -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        probe ok            -> refreshing:sent | send #1 L1
        refused             -> signed_out, due +600, recheck, refused | {KEPT}
    """)
    other = player(original=login(7).fingerprint())
    check(f"refused -> signed_out, refused | {KEPT}", played(other, "loaded; go; probe ok"))


@pytest.mark.parametrize(
    ("endpoint", "allowed"),
    [
        (ENDPOINT, True),
        ("https://github.com/login/oauth/access_token", True),
        ("https://slack.com/api/oauth.v2.access", True),
        ("https://acme.okta.com/oauth2/default/v1/token", False),
        ("https://acme.eu.auth0.com/oauth/token", False),
        ("https://x.supabase.co/auth/v1/token", False),
        ("https://auth.acme.example/auth/v1/token", False),
    ],
)
def test_a_provider_that_ends_logins_for_reuse_is_left_alone(endpoint: str, allowed: bool) -> None:
    """Okta, Auth0 and Supabase document it; a click is still a click there."""

    assert allowed is may_recheck(endpoint)
    p = refused()
    assert p.w.login is not None
    p.w = replace(p.w, login=replace(p.w.login, token_endpoint=endpoint))
    played(p, "+600 go; probe ok; refused invalid_client")

    assert allowed is (p.w.due is not None)


def test_network_and_wake_trigger_no_check() -> None:
    """What is planned stays planned; what isn't, isn't."""

    check(
        """
        network             -> signed_out, due +600, recheck, refused
        wake                -> signed_out, due +600, recheck, refused
        unreachable         -> signed_out, due +600, recheck, refused
        hot                 -> signed_out, due +600, recheck, refused
        online              -> signed_out, due +600, recheck, refused
    """,
        refused(),
    )


def test_the_gate_holds_a_check_back() -> None:
    """Offline and asleep nothing is sent, not even once per tick; a click passes everything but sleep."""

    p = refused()
    at = p.now.at
    asleep, offline = gate.sleep_soon(Gate(), at), gate.network(Gate(), at, offline=True)
    assert [None, None, at + 600.0] == [deadlines.opens_at(p.w, each) for each in (asleep, offline, Gate())]
    played(p, "manual; loaded asked; +1 time")
    assert [None, True] == [deadlines.opens_at(p.w, asleep), deadlines.opens_at(p.w, offline) is not None]
    assert view.derive(p.w, offline, p.now).auth.next_attempt_at is not None


def test_the_limit_of_automatic_attempts_holds() -> None:
    """M8: a check counts, and waits like any other automatic attempt."""

    p = refused()
    full = tuple(p.now.at + 590.0 for _ in range(15))
    p.w = replace(p.w, recent=full)
    assert p.now.at + 590.0 + 600.0 == deadlines.ready_at(p.w)
    played(p, "+600 go; probe ok")
    assert p.now.at == p.w.recent[-1]


def test_no_check_during_a_sign_in() -> None:
    """It waits until the sign-in has ended without a login."""

    p = played(refused(), "sign-in started; +700 time")
    assert deadlines.opens_at(p.w, Gate()) is None
    played(p, "sign-in failed")
    assert p.now.at - 100.0 == deadlines.opens_at(p.w, Gate())


def test_a_sign_in_ends_a_check_in_flight() -> None:
    """Its answer is late, and changes nothing."""

    p = played(refused(), "+600 go; probe ok")
    check(
        """
        signed-in           -> valid, due +800 | abandon #2, store N1 g2, note sign_in signed_in
        refused invalid_client -> valid, due +800
    """,
        p,
    )
    assert p.w.refusal is None


def restarted(p: Player, seconds: float, **changes: object) -> Player:
    """The program ends now and starts again later."""
    saved = replace(machine.saved(p.w, p.now), **changes)  # type: ignore[arg-type]
    again = player()
    again.now = Moment(50.0, 50.0, p.now.wall + seconds)
    again.saved = saved
    return again


@pytest.mark.parametrize(
    ("off", "due", "then"),
    [
        (60.0, 540, "signed_out, due +3000, recheck, refused"),
        (1200.0, 0, "signed_out, due +2400, recheck, refused"),
        (3400.0, 0, "signed_out, due +600, recheck, refused"),
        (86400.0, 0, "signed_out, refused"),
        (-500.0, 1100, "signed_out, due +3000, recheck, refused"),
        (-90000.0, 3600, "signed_out, due +3600, recheck, refused"),
    ],
)
def test_what_is_left_counts_from_the_refusal(off: float, due: float, then: str) -> None:
    """After a restart as before it: those missed are made up for by one, and a set clock only delays them."""

    p = restarted(refused(), off)
    check(f"loaded -> signed_out, due +{due}, recheck, refused", p)
    played(p, f"+{due} go; probe ok")
    check(f"refused invalid_client -> {then} | {KEPT}", p)


def test_a_restart_brings_no_third_check() -> None:
    """Each is on disk before it is sent."""

    p = played(refused(), "+600 go; probe ok; refused invalid_client; +3000 go")
    check("loaded -> signed_out, refused", restarted(p, 5.0))


def test_a_check_that_was_cut_short_leaves_the_token_in_doubt() -> None:
    """Its intent is open, so it isn't sent again unasked, and a refusal then is a lost rotation."""

    p = played(refused(), "+600 go; probe ok")
    again = restarted(p, 5.0, open_intent=login().fingerprint())
    check("loaded -> signed_out, marked, refused", again)
    played(again, "manual; loaded asked; go; probe ok")
    check("refused -> signed_out, lost_rotation | note attempt refused, save, close intent", again)


def test_a_verdict_without_a_time_is_not_checked() -> None:
    """What an older version saved doesn't say when it was refused; a click tries it."""

    p = check("loaded refused -> signed_out, refused")
    played(p, "manual; loaded asked; go; probe ok; refused invalid_client")
    assert p.w.refusal == Refusal(p.now.wall, "invalid_client", "oauth 400invalid_client")


def test_a_locked_keyring_is_no_verdict() -> None:
    """Neither for the click nor for a check: red stays, and the last error says so."""

    p = check(
        """
        manual              -> signed_out, due +600, recheck, refused | load with prompt, read configuration
        keyring locked      -> signed_out, due +600, recheck, refused
        +600 go             -> refreshing:probe, refused | save, probe #2
        probe locked        -> signed_out, due +3000, recheck, refused | note attempt store_failed
        +3000 go            -> refreshing:probe, refused | save, probe #3
        manual              -> refreshing:probe, refused
        probe locked        -> signed_out, due +0, manual, refused | note attempt store_failed
        go                  -> refreshing:probe, refused | save, probe #4 with prompt
        probe locked        -> signed_out, refused | note attempt store_failed
        keyring up          -> signed_out, refused | check L1 g1
    """,
        refused(),
    )

    assert p.w.last_error is not None
    assert "keyring" == p.w.last_error.kind
    assert p.w.keyring is None


def test_what_is_asked_for_meanwhile_is_done_afterwards() -> None:
    """M17: nothing is sent once a pause was asked for, and a resumed workload is as red as before."""

    p = played(refused(), "+600 go")
    check(
        """
        pause               -> refreshing:probe, refused, after pause
        probe ok            -> paused, refused | close intent, save, note phase paused
    """,
        p,
    )
    p.saved = machine.saved(p.w, p.now)
    p.saved = replace(p.saved, paused=False)
    check(
        """
        resume              -> loading, refused | save, check L1 g1, load, note phase resumed
        loaded              -> signed_out, due +3000, recheck, refused
    """,
        p,
    )


def test_a_new_token_without_access_is_no_longer_refused() -> None:
    """Classification row 8: the server replaced the token, so the outage goes on with the new one."""

    p = played(refused(), "+600 go; probe ok; busy 500 rotated")

    assert (Phase.WAITING, None, "") == (p.w.phase, p.w.signed_out, p.w.combination)


def test_an_unsaved_login_is_never_replaced_by_an_older_one() -> None:
    """What is in the keyring isn't another combination, but the token before. A click tries the newest login."""

    p = played(reached(Phase.VALID), "+800 go; probe ok; refreshed rotated; not-stored; +1000 go; probe ok; refused")
    check(
        """
        loaded              -> signed_out, unsaved, refused
        loaded asked        -> signed_out, due +1, manual, unsaved, refused
        pause               -> paused, unsaved, refused | save, note phase paused
        resume              -> loading, unsaved, refused | save, load, note phase resumed
        loaded              -> signed_out, refused | store L2 g2
    """,
        p,
    )
    assert Trigger.RECHECK is p.w.trigger


def test_an_unsaved_login_that_nobody_refused_begins_anew() -> None:
    """Paused and resumed with another token than the refused one, such as a late answer brings."""

    p = played(refused("invalid_grant"), "refreshed rotated; not-stored; pause; resume; loaded")

    assert (Phase.WAITING, None, None) == (p.w.phase, p.w.signed_out, p.w.refusal)


def test_the_record_is_kept_only_for_the_login_it_is_about() -> None:
    """Another login in the keyring is tried, and starts without a refusal."""

    saved = Saved(signed_out=SignedOut.REFUSED, combination="another", refusal=Refusal(5.0, "invalid_client"))
    p = player()
    p.saved = saved
    check("loaded -> waiting, due +0, due/start", p)
    assert (None, None) == (p.w.refusal, p.w.signed_out)
