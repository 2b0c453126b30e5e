"""The rules M1 to M18 as histories: what happens -> phase, marks | effects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.history import SPEC, Player, aligned, login, play, play_line, played, player, reached
from trayapp.core import deadlines, machine
from trayapp.core.gate import Gate
from trayapp.core.machine import saved
from trayapp.core.messages import Store, Unreachable
from trayapp.core.model import Phase, Policy, Problem, Saved, SignedOut
from trayapp.core.outcomes import NotSent


def check(text: str, p: Player | None = None) -> Player:
    """Play a history and compare it with what really happened."""
    p = p or player()
    assert aligned(text) == play(text, p)
    return p


def test_a_rotation_is_stored_before_the_attempt_ends() -> None:
    """Steps ① to ⑤: probe, intent and send, store, read back; then valid, refreshed ahead of the expiry (M1)."""

    check("""
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        probe ok            -> refreshing:sent | send #1 L1
        +1 refreshed rotated -> refreshing:storing | note attempt refreshed, store L2 g2
        stored 2            -> valid, due +799.2 | save
        +800 go             -> refreshing:probe | probe #2
        probe ok            -> refreshing:sent | send #2 L2
        refreshed           -> valid, due +800 | note attempt refreshed, close intent, save
    """)


def test_a_token_without_a_life_is_refreshed_when_the_upstream_says_so() -> None:
    """M1: without `expires_in` there is no schedule."""

    check("""
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        probe ok            -> refreshing:sent | send #1 L1
        refreshed endless   -> valid | note attempt refreshed, close intent, save
        +9999 rejected      -> waiting, due +0, due/rejected
    """)


def test_the_short_retry_has_four_waits_and_then_the_long_phase_begins() -> None:
    """M2 and M4: 10, 15, 22.5 and 33.75 s, then a tick of ten minutes; each later failure only renews the error."""

    check("""
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        probe ok            -> refreshing:sent | send #1 L1
        not-sent            -> waiting, due +10, short_retry/short_retry | note attempt not_sent, close intent, save
        +10 go              -> refreshing:probe | probe #2
        probe ok            -> refreshing:sent | send #2 L1
        busy 403            -> waiting, due +15, short_retry/short_retry | note attempt server_busy, close intent, save
        +15 go              -> refreshing:probe | probe #3
        probe ok            -> refreshing:sent | send #3 L1
        busy 500            -> waiting, due +22.5, short_retry/short_retry | note attempt server_busy, close intent, save
        +22.5 go            -> refreshing:probe | probe #4
        probe ok            -> refreshing:sent | send #4 L1
        not-sent            -> waiting, due +33.75, short_retry/short_retry | note attempt not_sent, close intent, save
        +33.75 go           -> refreshing:probe | probe #5
        probe ok            -> refreshing:sent | send #5 L1
        not-sent            -> waiting, due +600, tick/tick, long | note attempt not_sent, close intent, note phase auth_retrying, save
        +600 go             -> refreshing:probe, long | probe #6
        probe ok            -> refreshing:sent, long | send #6 L1
        not-sent            -> waiting, due +600, tick/tick, long | note attempt not_sent, close intent, save
        +600 go             -> refreshing:probe, long | probe #7
        probe ok            -> refreshing:sent, long | send #7 L1
        refreshed           -> valid, due +800 | note attempt refreshed, close intent, save
    """)


def test_the_short_retry_ends_after_five_awake_minutes() -> None:
    """M2: slow answers use up the time before the tries."""

    check("""
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        probe ok            -> refreshing:sent | send #1 L1
        not-sent            -> waiting, due +10, short_retry/short_retry | note attempt not_sent, close intent, save
        +290 go             -> refreshing:probe | probe #2
        probe ok            -> refreshing:sent | send #2 L1
        not-sent            -> waiting, due +600, tick/tick, long | note attempt not_sent, close intent, note phase auth_retrying, save
    """)


def test_sleep_does_not_use_up_the_short_retry() -> None:
    """M2: its five minutes are awake time."""

    check("""
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        probe ok            -> refreshing:sent | send #1 L1
        not-sent            -> waiting, due +10, short_retry/short_retry | note attempt not_sent, close intent, save
        +9999 asleep go     -> refreshing:probe | probe #2
        probe ok            -> refreshing:sent | send #2 L1
        not-sent            -> waiting, due +15, short_retry/short_retry | note attempt not_sent, close intent, save
    """)


def _long(p: Player | None = None, tries: str = "not-sent") -> Player:
    """Brought into the long phase: one try is enough for this policy."""
    p = p or player(Policy(max_tries=1))
    for event in ("loaded", "go", "probe ok", tries):
        play_line(p, event)
    return p


def test_while_a_token_is_usable_the_long_phase_aims_at_its_end() -> None:
    """M3: attempts every max(10 s, min(tick, time to expiry))."""

    p = reached(Phase.VALID, player(Policy(max_tries=1)))
    check(
        """
        +800 go             -> refreshing:probe | probe #2
        probe ok            -> refreshing:sent | send #2 L1
        not-sent            -> waiting, due +190, tick/tick, long | note attempt not_sent, close intent, note phase auth_retrying, save
        +185 go             -> refreshing:probe, long | probe #3
        probe ok            -> refreshing:sent, long | send #3 L1
        not-sent            -> waiting, due +10, tick/tick, long | note attempt not_sent, close intent, save
    """,
        p,
    )


def test_the_ceiling_turns_red_after_a_day_of_counted_failures() -> None:
    """M6: 24 h awake and online, three failures since the latest change, and the failing attempt decides."""

    p = check(
        """
        +1000 go            -> refreshing:probe, long | probe #2
        probe ok            -> refreshing:sent, long | send #2 L1
        not-sent            -> waiting, due +600, tick/tick, long | note attempt not_sent, close intent, save
        +86000 go           -> refreshing:probe, long | probe #3
        probe ok            -> refreshing:sent, long | send #3 L1
        not-sent            -> waiting, tick/tick, long, gave up | note attempt not_sent, close intent, save
    """,
        _long(),
    )

    assert deadlines.next_deadline(p.w, Gate()) is None


def test_offline_time_does_not_count_towards_the_ceiling() -> None:
    """M6: counting stops while the gate is blocked and resumes afterwards."""

    check(
        """
        offline             -> waiting, due +600, tick/tick, long | save
        offline             -> waiting, due +600, tick/tick, long
        +90000 online       -> waiting, due -89400, tick/tick, long
        go                  -> refreshing:probe, long | probe #2
        probe ok            -> refreshing:sent, long | send #2 L1
        not-sent            -> waiting, due +600, tick/tick, long | note attempt not_sent, close intent, save
        +600 go             -> refreshing:probe, long | probe #3
        probe ok            -> refreshing:sent, long | send #3 L1
        not-sent            -> waiting, due +600, tick/tick, long | note attempt not_sent, close intent, save
    """,
        _long(),
    )


def test_a_weekend_in_a_bag_never_turns_a_workload_red_on_monday() -> None:
    """M6: asleep nothing counts, and after the wake three failures and a tick are needed."""

    check(
        """
        +259200 asleep wake -> waiting, due +0, burst/wake, long
        go                  -> refreshing:probe, long | probe #2
        probe ok            -> refreshing:sent, long | send #2 L1
        not-sent            -> waiting, due +0.25, burst/wake, long | note attempt not_sent, close intent, save
    """,
        _long(),
    )


def test_after_the_ceiling_the_login_is_kept_and_tried_on_every_change() -> None:
    """M7: a wake and a new network run the burst; *Retry now* makes one attempt; success is green."""

    p = player(Policy(max_tries=1, burst=(0.0, 2.0)), retrying_since=0.0)
    check(
        """
        loaded gave_up      -> waiting, due +0, due/start, long, gave up
        go                  -> refreshing:probe, long, gave up | probe #1
        probe ok            -> refreshing:sent, long, gave up | send #1 L1
        not-sent            -> waiting, tick/tick, long, gave up | note attempt not_sent, close intent, save
        network             -> waiting, due +0, burst/network, long, gave up
        go                  -> refreshing:probe, long, gave up | probe #2
        probe ok            -> refreshing:sent, long, gave up | send #2 L1
        not-sent            -> waiting, due +2, burst/network, long, gave up | note attempt not_sent, close intent, save
        +2 go               -> refreshing:probe, long, gave up | probe #3
        probe ok            -> refreshing:sent, long, gave up | send #3 L1
        not-sent            -> waiting, tick/tick, long, gave up | note attempt not_sent, close intent, save
        +5 manual           -> waiting, due +0, tick/manual, long, gave up
        go                  -> refreshing:probe, long, gave up | probe #4 with prompt
        probe ok            -> refreshing:sent, long, gave up | send #4 L1
        refreshed           -> valid, due +800 | note attempt refreshed, close intent, save
    """,
        p,
    )


def test_a_verdict_ends_the_attempts_until_the_combination_changes() -> None:
    """M5 and M7: red immediately; the refused token is never sent again, another one in the keyring is."""

    check(
        """
        refused             -> signed_out, refused | note attempt refused, save, close intent
        network             -> signed_out, refused
        manual              -> signed_out, refused | load with prompt, read configuration
        loaded              -> signed_out, refused
        keyring locked      -> signed_out, refused
        manual              -> signed_out, refused | load with prompt, read configuration
        loaded 2            -> waiting, due +0, due/manual
    """,
        reached(Phase.REFRESHING),
    )


def test_a_verdict_outlives_a_restart() -> None:
    """M14: the refused combination is not tried again only because the program was started anew."""

    check("loaded refused -> signed_out, refused")


def test_a_login_that_is_found_for_another_endpoint_is_not_sent() -> None:
    """SECURITY.md 21, also after *Retry now* on a refused login."""

    check("loaded foreign -> broken, confirm")
    check(
        "loaded 2 foreign -> broken, refused, confirm",
        reached(Phase.SIGNED_OUT),
    )


def test_the_maybe_spent_mark_makes_invalid_grant_a_lost_rotation() -> None:
    """M9: the same token is sent again quickly; a verdict then is a lost rotation, not a refusal."""

    p = check(
        """
        ambiguous           -> waiting, due +0, again/short_retry, marked | note attempt ambiguous, save
        go                  -> refreshing:probe, marked | probe #2
        probe ok            -> refreshing:sent, marked | send #2 L1
        not-sent            -> waiting, due +1, again/short_retry, marked | note attempt not_sent, save
        +1 go               -> refreshing:probe, marked | probe #3
        probe ok            -> refreshing:sent, marked | send #3 L1
        refused             -> signed_out, lost_rotation | note attempt refused, save, close intent
    """,
        reached(Phase.REFRESHING),
    )

    assert 1 == p.w.lost_rotations


def test_another_verdict_than_invalid_grant_is_not_called_a_lost_rotation() -> None:
    """M9: a client that is no longer known has nothing to do with the lost answer."""

    check(
        """
        ambiguous           -> waiting, due +0, again/short_retry, marked | note attempt ambiguous, save
        go                  -> refreshing:probe, marked | probe #2
        probe ok            -> refreshing:sent, marked | send #2 L1
        refused invalid_client -> signed_out, due +600, recheck, refused | note attempt refused, save, close intent
    """,
        reached(Phase.REFRESHING),
    )


def test_the_same_token_is_asked_for_again_six_times_and_then_by_the_tick() -> None:
    """M9: 0, 1, 2, 5, 10 and 20 s after the end of each attempt replace the short retry."""

    p = reached(Phase.REFRESHING)
    delays = []
    for _ in range(7):
        play_line(p, "ambiguous")
        delays.append(p.w.due - p.now.at if p.w.due is not None else None)
        p.pass_time(delays[-1] or 0.0)
        play_line(p, "go")
        play_line(p, "probe ok")

    assert [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 600.0] == delays
    assert p.w.failing is not None
    assert p.w.failing.exhausted


def test_a_busy_answer_in_the_same_token_series_leads_to_the_short_retry() -> None:
    """M9 repeats only while there is no answer; a server that answers gets the usual short retry."""

    check(
        """
        ambiguous           -> waiting, due +0, again/short_retry, marked | note attempt ambiguous, save
        go                  -> refreshing:probe, marked | probe #2
        probe ok            -> refreshing:sent, marked | send #2 L1
        busy 503            -> waiting, due +10, short_retry/short_retry, marked | note attempt server_busy, save
    """,
        reached(Phase.REFRESHING),
    )


def test_a_gateway_error_is_repeated_once_and_then_retried_as_usual() -> None:
    """Classification row 7: the mark, one repeat after 2 s, then M2."""

    check(
        """
        busy 504            -> waiting, due +2, again/short_retry, marked | note attempt server_busy, save
        +2 go               -> refreshing:probe, marked | probe #2
        probe ok            -> refreshing:sent, marked | send #2 L1
        busy 502            -> waiting, due +10, short_retry/short_retry, marked | note attempt server_busy, save
        +10 go              -> refreshing:probe, marked | probe #3
        probe ok            -> refreshing:sent, marked | send #3 L1
        busy 502            -> waiting, due +15, short_retry/short_retry, marked | note attempt server_busy, save
    """,
        reached(Phase.REFRESHING),
    )


def _at_github(p: Player, left: float | None) -> Player:
    """The login of a provider that is known to give no grace, with a token that has `left` seconds to live."""
    assert p.w.login is not None
    login = replace(p.w.login, token_endpoint="https://github.com/login/oauth/access_token")
    access = p.w.access
    if access is not None:
        access = replace(access, expires_at=None if left is None else p.now.at + left)
    p.w = replace(p.w, login=login, access=access)
    return p


@pytest.mark.parametrize(
    ("left", "delay"),
    [
        pytest.param(500.0, 440.0, id="it waits for the last minute"),
        pytest.param(50.0, 0.0, id="it is the last minute"),
        pytest.param(None, 0.0, id="nobody knows when it ends"),
    ],
)
def test_without_grace_a_usable_token_is_used_up_before_the_risk(left: float | None, delay: float) -> None:
    """M9: where a second use of the refresh token ends the login, hurrying only makes it worse."""

    p = reached(Phase.VALID)
    for event in ("manual", "+1 go", "probe ok"):
        play_line(p, event)
    play_line(_at_github(p, left), "ambiguous")

    assert p.w.due is not None
    assert delay == pytest.approx(p.w.due - p.now.at)


def test_without_grace_and_without_a_token_there_is_nothing_to_wait_for() -> None:
    """M9: the same token is sent again immediately."""

    p = _at_github(reached(Phase.REFRESHING), None)
    play_line(p, "ambiguous")

    assert p.now.at == p.w.due


def test_a_burst_follows_a_change_until_somebody_answers() -> None:
    """M8: 0, 0.25, 0.5, 1, 2, 4, 10, 20, 40 s; unanswered at its end it was the short retry."""

    p = reached(Phase.WAITING)
    play_line(p, "network")
    delays = []
    for _ in range(9):
        play_line(p, "go")
        play_line(p, "probe ok")
        play_line(p, "not-sent")
        delays.append(p.w.due - p.now.at if p.w.due is not None else None)
        p.pass_time(delays[-1] or 0.0)

    assert [0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 20.0, 40.0, 600.0] == delays


def test_a_busy_server_in_the_burst_gets_the_short_retry() -> None:
    """A single 503 after a wake does not mean ten amber minutes."""

    check(
        """
        wake                -> waiting, due +0, burst/wake
        go                  -> refreshing:probe | probe #1
        probe ok            -> refreshing:sent | send #1 L1
        busy 503            -> waiting, due +10, short_retry/short_retry | note attempt server_busy, close intent, save
    """,
        reached(Phase.WAITING),
    )


def _at_the_last_try_of_the_burst() -> Player:
    """All tries of the burst but the last were not sent, and that one is under way."""
    p = reached(Phase.WAITING)
    play_line(p, "network")
    for _ in range(len(p.w.spec.policy.burst) - 1):
        for event in ("go", "probe ok", "not-sent"):
            play_line(p, event)
        assert p.w.due is not None
        p.pass_time(p.w.due - p.now.at)
    play_line(p, "go")
    play_line(p, "probe ok")
    return p


@pytest.mark.parametrize(
    "line",
    [
        "busy 503  -> waiting, due +10, short_retry/short_retry | note attempt server_busy, close intent, save",
        "busy 429 after 30 -> waiting, due +10, short_retry/short_retry, not before +30"
        " | note attempt server_busy, close intent, save",
        "busy 502  -> waiting, due +2, again/short_retry, marked | note attempt server_busy, save",
        "ambiguous -> waiting, due +0, again/short_retry, marked | note attempt ambiguous, save",
        "busy 200 page -> waiting, due +60, portal/tick, long"
        " | note attempt server_busy, close intent, note phase auth_retrying, save",
        "not-sent  -> waiting, due +600, tick/tick, long"
        " | note attempt not_sent, close intent, note phase auth_retrying, save",
    ],
    ids=lambda line: line.partition(" ->")[0].strip(),
)
def test_the_last_try_of_the_burst_is_judged_by_its_answer(line: str) -> None:
    """M8: only a burst that nobody answered has replaced the short retry; a busy server begins it (M2)."""

    check(line, _at_the_last_try_of_the_burst())


def test_a_gateway_error_at_the_end_of_the_burst_leads_to_the_short_retry() -> None:
    """Classification row 7 after M8: one repeat, then M2, as it would be at any other try."""

    check(
        """
        busy 502            -> waiting, due +2, again/short_retry, marked | note attempt server_busy, save
        +2 go               -> refreshing:probe, marked | probe #10
        probe ok            -> refreshing:sent, marked | send #10 L1
        busy 502            -> waiting, due +10, short_retry/short_retry, marked | note attempt server_busy, save
    """,
        _at_the_last_try_of_the_burst(),
    )


def test_web_pages_soon_after_a_change_look_like_a_portal() -> None:
    """M8: every 60 s for ten minutes, then the tick."""

    check(
        """
        network             -> waiting, due +0, burst/network
        go                  -> refreshing:probe | probe #1
        probe ok            -> refreshing:sent | send #1 L1
        busy 200 page       -> waiting, due +60, portal/tick, long | note attempt server_busy, close intent, note phase auth_retrying, save
        +60 go              -> refreshing:probe, long | probe #2
        probe ok            -> refreshing:sent, long | send #2 L1
        not-sent tls        -> waiting, due +60, portal/tick, long | note attempt not_sent, close intent, save
        +600 go             -> refreshing:probe, long | probe #3
        probe ok            -> refreshing:sent, long | send #3 L1
        busy 200 page       -> waiting, due +600, tick/tick, long | note attempt server_busy, close intent, save
    """,
        reached(Phase.WAITING),
    )


def test_a_usable_token_is_never_refreshed_early_by_a_change() -> None:
    """M8: a change concerns only what waits or is past due."""

    check(
        """
        network             -> valid, due +800
        +900 wake           -> waiting, due +0, burst/wake
    """,
        reached(Phase.VALID),
    )


def test_a_change_makes_the_repeat_with_the_same_token_due() -> None:
    """M9 stands above M8: it stays the same-token series, and no burst takes its place."""

    check(
        """
        ambiguous           -> waiting, due +0, again/short_retry, marked | note attempt ambiguous, save
        go                  -> refreshing:probe, marked | probe #2
        probe ok            -> refreshing:sent, marked | send #2 L1
        ambiguous           -> waiting, due +1, again/short_retry, marked | note attempt ambiguous, save
        network             -> waiting, due +0, again/short_retry, marked
    """,
        reached(Phase.REFRESHING),
    )


@pytest.mark.parametrize("nudge", ["network", "wake"])
def test_a_change_begins_the_same_token_series_anew(nudge: str) -> None:
    """M8, M9: what failed before says nothing about the network that is there now, so the whole series is ahead again."""

    p = reached(Phase.REFRESHING)
    for event in ("ambiguous", "go", "probe ok", "ambiguous", "+1 go", "probe ok", "not-sent", nudge):
        play_line(p, event)
    assert p.now.at == p.w.due
    delays = []
    for _ in range(7):
        for event in ("go", "probe ok", "ambiguous"):
            play_line(p, event)
        assert p.w.due is not None
        delays.append(p.w.due - p.now.at)
        p.pass_time(delays[-1])

    assert [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 600.0] == delays


def test_a_flapping_network_does_not_make_the_same_token_series_endless() -> None:
    """M8's limit and one series beyond it: so often the same token is sent in ten minutes, however often it begins anew."""

    p = reached(Phase.REFRESHING)
    play_line(p, "ambiguous")
    first, sent = p.now.at, 0
    while p.now.at < first + p.spec.policy.automatic_window:
        opens = deadlines.opens_at(p.w, Gate())
        if opens is not None and opens <= p.now.at:
            for event in ("go", "probe ok", "ambiguous"):
                play_line(p, event)
            sent += 1
        play_line(p, "+4 network")

    assert p.spec.policy.automatic_attempts + len(p.spec.policy.again) == sent


def test_a_connection_that_slept_is_read_for_two_more_seconds() -> None:
    """Wake while sent: then the answer is lost and the connection is closed."""

    check(
        """
        +60 asleep wake     -> refreshing:sent
        +1 time             -> refreshing:sent
        +1 time             -> waiting, due +0, again/short_retry, marked | abandon #1, note attempt ambiguous, save
    """,
        reached(Phase.REFRESHING),
    )


def test_a_sleep_that_was_called_off_costs_no_answer() -> None:
    """The machine didn't really sleep: the connection is alive, and its answer is waited for as before."""

    check(
        """
        sleep               -> refreshing:sent, marked
        +3 wake             -> refreshing:sent, marked
        +9 time             -> refreshing:sent, marked
        refreshed rotated   -> refreshing:storing | note attempt refreshed, store L2 g2
    """,
        reached(Phase.REFRESHING),
    )


def test_a_wake_during_the_probe_changes_nothing() -> None:
    """Nothing was sent, so nothing is in doubt."""

    p = reached(Phase.WAITING)
    check(
        """
        go                  -> refreshing:probe | probe #1
        wake                -> refreshing:probe
        sleep               -> refreshing:probe
        +100 time           -> refreshing:probe
        refreshed           -> refreshing:probe
    """,
        p,
    )


def test_an_attempt_without_an_end_is_ambiguous() -> None:
    """M9: the machine has its own deadline, in case nothing else ends the attempt."""

    check(
        "+36 time -> waiting, due +0, again/short_retry, marked | abandon #1, note attempt ambiguous, save",
        reached(Phase.REFRESHING),
    )


def test_the_keyring_comes_before_the_token() -> None:
    """Locked at the probe: no try is counted, nothing is sent; once unlocked, it is due immediately."""

    p = check(
        """
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        stale-probe         -> refreshing:probe
        probe locked        -> waiting, due +60, due/start, keyring locked | note attempt store_failed
        network             -> waiting, due +60, burst/start, keyring locked
        +60 go              -> refreshing:probe, keyring locked | probe #2
        probe hanging       -> waiting, due +300, burst/start, keyring hanging | note attempt store_failed
        +1 keyring up       -> waiting, due +0, burst/start | check L1 g1
        manual              -> waiting, due +0, burst/manual
        go                  -> refreshing:probe | probe #3 with prompt
        probe locked        -> waiting, due +60, burst/due, keyring locked | note attempt store_failed
    """
    )

    assert p.w.failing is None
    assert p.w.last_attempt_at is None


def test_what_comes_during_a_silent_probe_is_not_lost() -> None:
    """*Retry now* makes the next probe show the dialog, an unlock makes it immediate; each once."""

    check(
        """
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        manual              -> refreshing:probe
        manual              -> refreshing:probe
        keyring up          -> refreshing:probe | check L1 g1
        probe locked        -> waiting, due +0, due/manual, keyring locked | note attempt store_failed
        go                  -> refreshing:probe, keyring locked | probe #2 with prompt
        manual              -> refreshing:probe, keyring locked
        probe locked        -> waiting, due +300, due/due, keyring locked | note attempt store_failed
        +300 go             -> refreshing:probe, keyring locked | probe #3
        keyring up          -> refreshing:probe, keyring locked | check L1 g1
        probe locked        -> waiting, due +0, due/due, keyring locked | note attempt store_failed
        manual              -> waiting, due +0, due/manual, keyring locked
        go                  -> refreshing:probe, keyring locked | probe #4 with prompt
        keyring up          -> refreshing:probe, keyring locked | check L1 g1
        probe ok            -> refreshing:sent | send #4 L1
    """
    )


@pytest.mark.parametrize(
    ("way", "look"),
    [
        (
            """
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        probe locked        -> waiting, due +60, due/start, keyring locked | note attempt store_failed
        pause               -> paused | save, note phase paused
    """,
            "check L1 g1, ",
        ),
        (
            """
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        pause               -> refreshing:probe, after pause
        probe locked        -> paused | note attempt store_failed, save, note phase paused
    """,
            "check L1 g1, ",
        ),
        (
            """
        keyring locked      -> loading, due +60, keyring locked
        pause               -> paused | save, note phase paused
    """,
            "",
        ),
    ],
    ids=["waiting for it", "while it is asked", "while loading"],
)
def test_what_is_paused_waits_for_no_keyring(way: str, look: str) -> None:
    """M17: an unlock at most makes it look for the login; a resume finds out anew how the keyring is, as at a start."""

    check(
        f"""
        keyring up          -> paused{" | " + look.rstrip(", ") if look else ""}
        manual              -> paused
        resume              -> loading | save, {look}load, note phase resumed
    """,
        check(way),
    )


def test_what_waits_for_agreement_waits_for_no_keyring() -> None:
    """Nor does it say so: a locked keyring has no part in it, and is asked again once the file is changed back."""

    check("""
        loaded              -> waiting, due +0, due/start
        go                  -> refreshing:probe | probe #1
        probe locked        -> waiting, due +60, due/start, keyring locked | note attempt store_failed
        configured identity -> broken, confirm | note phase confirm_change
        keyring up          -> broken, confirm | check L1 g1
        configured          -> loading | check L1 g1, load
    """)


def test_a_login_that_the_keyring_lost_is_written_again() -> None:
    """The keyring was replaced or reset: not stored until the write is confirmed, and retried like any other."""

    check(
        """
        keyring up          -> valid, due +800 | check L1 g1
        missing             -> valid, due +800 | store L1 g1
        keyring up          -> valid, due +800
        missing             -> valid, due +800
        not-stored locked   -> valid, due +800, unsaved
        keyring up          -> valid, due +800 | store L1 g1
        stored 1            -> valid, due +800 | save
        keyring up          -> valid, due +800 | check L1 g1
    """,
        reached(Phase.VALID),
    )


def test_a_lost_login_is_not_confused_with_its_successor() -> None:
    """The news comes late: a rotation or a sign-out has overtaken it, and no intent is closed for it."""

    p = check(
        """
        keyring up          -> refreshing:sent | check L1 g1
        missing             -> refreshing:sent | store L1 g1
        refreshed rotated   -> refreshing:storing | note attempt refreshed, store L2 g2
        stored 1            -> refreshing:storing
        missing 1           -> refreshing:storing
        stored 2            -> valid, due +800 | save
        missing 1           -> valid, due +800
        sign-out            -> signed_out, never_signed_in | discard L2 and revoke, save, note phase signed_out
        missing 2           -> signed_out, never_signed_in
    """,
        reached(Phase.REFRESHING),
    )
    assert p.w.login is None
    _, effects = play_line(reached(Phase.REFRESHING), "missing")
    assert [""] == [effect.settles for effect in effects if isinstance(effect, Store)]


def test_what_is_removed_is_not_written_again() -> None:
    """The keyring lacks it because it was deleted there."""

    check(
        """
        remove              -> paused, after remove | forget L1 and revoke
        keyring up          -> paused, after remove
        missing             -> paused, after remove
    """,
        reached(Phase.VALID),
    )


def test_a_login_that_was_lost_during_a_pause() -> None:
    """The keyring refuses to be read, because it held more before; once the login is there again, it is read."""

    check(
        """
        resume              -> loading | save, check L1 g1, load, note phase resumed
        keyring failed      -> loading, due +60, keyring failed
        +60 time            -> loading, keyring failed | check L1 g1, load
        missing             -> loading, keyring failed | store L1 g1
        stored 1            -> loading | save, load
        loaded              -> waiting, due +0, due/start
    """,
        reached(Phase.PAUSED),
    )


def test_a_keyring_that_cannot_be_read_is_never_signed_out() -> None:
    """While loading: after 1, 5 and 15 min, immediately on a wake or unlock, with a dialog only on *Retry now*."""

    check("""
        keyring locked      -> loading, due +60, keyring locked
        time                -> loading, due +60, keyring locked
        +60 time            -> loading, keyring locked | load
        keyring unavailable -> loading, due +300, keyring unavailable
        wake                -> loading, keyring unavailable | load
        keyring failed      -> loading, due +900, keyring failed
        network             -> loading, keyring failed | load
        keyring failed      -> loading, due +900, keyring failed
        manual              -> loading, keyring failed | load with prompt
        loaded              -> waiting, due +0, due/start
    """)


def test_a_login_that_could_not_be_stored_is_served_and_written_later() -> None:
    """Step ④ failed: valid, in memory only, written again; the next refresh waits for the token's end."""

    check(
        """
        refreshed rotated   -> refreshing:storing | note attempt refreshed, store L2 g2
        not-stored failed   -> valid, due +990, unsaved | save, note attempt store_failed
        time                -> valid, due +990, unsaved
        +60 time            -> valid, due +930 | store L2 g2
        not-stored locked   -> valid, due +930, unsaved
        keyring up          -> valid, due +930 | store L2 g2
        stored 2            -> valid, due +740 | save
    """,
        reached(Phase.REFRESHING),
    )


def test_a_login_in_memory_only_is_refreshed_without_a_keyring() -> None:
    """At expiry the probe may fail: waiting wouldn't make the login safer."""

    check(
        """
        refreshed rotated   -> refreshing:storing | note attempt refreshed, store L2 g2
        not-stored locked   -> valid, due +990, unsaved | save, note attempt store_failed
        keyring locked      -> valid, due +990, unsaved
        +990 go             -> refreshing:probe, unsaved | probe #2
        probe locked        -> refreshing:sent, unsaved | send #2 L2
        refreshed           -> valid, due +990 | note attempt refreshed, close intent, store L2 g2, save
    """,
        reached(Phase.REFRESHING),
    )


def test_late_answers_change_no_phase_but_keep_a_newer_login() -> None:
    """M11: stored if it replaces the very token that we hold, dropped if that one was replaced meanwhile."""

    p = reached(Phase.REFRESHING)
    play_line(p, "ambiguous")
    late = p.finished
    check(
        """
        refreshed rotated   -> waiting, due +0, again/short_retry | store L2 g2, note attempt late
        refreshed same      -> waiting, due +0, again/short_retry
        stored 2            -> waiting, due +0, again/short_retry | save
    """,
        p,
    )
    from trayapp.core.messages import Finished
    from trayapp.core.model import Secret
    from trayapp.core.outcomes import Refreshed

    assert p.w.login is not None
    stale = late(Refreshed(Secret("x"), Secret("L9")))
    old = Finished(stale.now, 1, "another fingerprint", "L", stale.outcome)
    assert p.w == machine.step(p.w, old)[0]


def test_an_odd_answer_with_a_new_refresh_token_is_kept() -> None:
    """A new refresh token is stored before anything else in the answer is looked at."""

    check(
        """
        busy 200 rotated    -> waiting, due +10, short_retry/short_retry | note attempt server_busy, store L2 g2, save
        stored 2            -> waiting, due +10, short_retry/short_retry | save
    """,
        reached(Phase.REFRESHING),
    )


def test_retry_after_is_respected_and_kept() -> None:
    """M12: a later answer without Retry-After doesn't shorten it; *Retry now* passes it."""

    p = check(
        """
        busy 503 after 9000 -> waiting, due +10, short_retry/short_retry, long wait, not before +3600 | note attempt server_busy, close intent, save
    """,
        reached(Phase.REFRESHING),
    )
    assert p.now.at + 3600 == deadlines.ready_at(p.w)
    check(
        """
        +10 manual          -> waiting, due +0, short_retry/manual, long wait, not before +3590
    """,
        p,
    )
    assert p.now.at == deadlines.ready_at(p.w)


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [("not-sent", True), ("busy 500", False), ("ambiguous", False), ("busy 503 after 60", False)],
)
def test_a_click_asks_the_server_once_and_a_wait_it_never_heard_of_stays(outcome: str, kept: bool) -> None:
    """M12: *Retry now* asks despite Retry-After. Only if nothing was sent does the server's wait still hold."""

    p = played(reached(Phase.REFRESHING), "busy 503 after 9000")
    asked_for = p.w.not_before
    played(p, f"+10 manual; go; probe ok; {outcome}")

    assert kept is (p.w.not_before == asked_for)
    assert kept or p.w.not_before <= p.now.at + 60.0


def test_rejected_tokens_are_refreshed_once_in_ten_seconds() -> None:
    """M8 and M18: three fresh tokens in a row are the upstream's fault; then every ten minutes; any 2xx clears it."""

    p = reached(Phase.VALID)
    check(
        """
        +20 rejected 99     -> valid, due +780
        rejected            -> waiting, due +0, due/rejected, 1 strikes
        network             -> waiting, due +0, burst/rejected, 1 strikes
        go                  -> refreshing:probe, 1 strikes | probe #2
        probe ok            -> refreshing:sent, 1 strikes | send #2 L1
        rejected            -> refreshing:sent, 1 strikes
        refreshed           -> valid, due +800, 1 strikes | note attempt refreshed, close intent, save
        +1 rejected         -> waiting, due +9, due/rejected, 2 strikes
        +9 go               -> refreshing:probe, 2 strikes | probe #3
        probe ok            -> refreshing:sent, 2 strikes | send #3 L1
        refreshed           -> valid, due +800, 2 strikes | note attempt refreshed, close intent, save
        rejected            -> waiting, due +600, due/rejected, 3 strikes
        accepted            -> waiting, due +600, due/rejected
    """,
        p,
    )


def test_a_token_that_is_rejected_while_its_login_is_stored() -> None:
    """It is served before it is stored: its rejection counts, and the next refresh comes with the end of the storing."""

    p = reached(Phase.VALID)
    check(
        """
        +800 go             -> refreshing:probe | probe #2
        probe ok            -> refreshing:sent | send #2 L1
        refreshed rotated   -> refreshing:storing | note attempt refreshed, store L2 g2
        +1 rejected         -> refreshing:storing, 1 strikes
        rejected            -> refreshing:storing, 1 strikes
        stored 2            -> waiting, due +9, due/rejected, 1 strikes | save
    """,
        p,
    )


def test_an_old_token_that_is_rejected_is_no_strike() -> None:
    """M18: only tokens younger than a minute count, and in a row."""

    check("+61 rejected -> waiting, due +0, due/rejected", reached(Phase.VALID))


def test_a_caller_who_needs_more_life_gets_an_early_refresh() -> None:
    """`--min-validity`: due immediately, but not within ten seconds of the last attempt."""

    check(
        """
        hot 2000            -> valid, due +800
        +700 hot            -> valid, due +100
        hot 200             -> valid, due +100
        hot 400             -> valid, due +0
    """,
        reached(Phase.VALID),
    )


def test_pause_waits_for_the_attempt_and_its_storing() -> None:
    """M17: stopped is stopped, but never in the middle of a rotation."""

    check(
        """
        pause               -> refreshing:sent, after pause
        refreshed rotated   -> refreshing:storing, after pause | note attempt refreshed, store L2 g2
        stored 2            -> paused | save, save, note phase paused
        go                  -> paused
        resume              -> loading | save, check L2 g2, load, note phase resumed
    """,
        reached(Phase.REFRESHING),
    )


def test_a_pause_can_be_called_off_before_it_began() -> None:
    """*Resume* while the attempt is still in flight."""

    check(
        """
        pause               -> refreshing:sent, after pause
        resume              -> refreshing:sent
        resume              -> refreshing:sent
        refused             -> signed_out, refused | note attempt refused, save, close intent
    """,
        reached(Phase.REFRESHING),
    )


def test_removal_waits_for_the_attempt_and_outranks_the_rest() -> None:
    """M17: what is revoked is the newest login."""

    check(
        """
        remove              -> refreshing:sent, after remove
        shutdown            -> refreshing:sent, after remove
        refreshed rotated   -> refreshing:storing, after remove | note attempt refreshed, store L2 g2
        not-stored failed   -> paused, unsaved, after remove | save, note attempt store_failed, forget L2 and revoke
    """,
        reached(Phase.REFRESHING),
    )


def test_removal_waits_for_a_write_on_its_way() -> None:
    """A sign-in is being stored: deleting first would bring it back."""

    check(
        """
        signed-in           -> valid, due +800 | store N1 g2, note sign_in signed_in
        remove              -> valid, due +800, after remove
        stored 1            -> valid, due +800, after remove
        stored 2            -> paused, after remove | save, forget N1 and revoke
    """,
        reached(Phase.WAITING),
    )


def test_shutdown_waits_for_what_is_in_flight() -> None:
    """M17: a rotated token is stored before the program ends."""

    check(
        """
        shutdown            -> refreshing:sent, after shutdown
        refreshed rotated   -> refreshing:storing, after shutdown | note attempt refreshed, store L2 g2
        stored 2            -> valid, due +800, after shutdown | save, save, done
    """,
        reached(Phase.REFRESHING),
    )
    p = check(
        """
        signed-in           -> valid, due +800 | store N1 g2, note sign_in signed_in
        shutdown            -> valid, due +800, after shutdown
        not-stored locked   -> valid, due +800, unsaved, after shutdown | save, done
    """,
        reached(Phase.WAITING),
    )
    assert deadlines.opens_at(p.w, Gate()) is None


def test_sign_out_waits_for_the_attempt() -> None:
    """What is revoked is the newest login, and nothing of it is kept."""

    p = check(
        """
        sign-out            -> refreshing:sent, after sign_out
        refreshed rotated   -> refreshing:storing, after sign_out | note attempt refreshed, store L2 g2
        stored 2            -> signed_out, never_signed_in | save, discard L2 and revoke, save, note phase signed_out
    """,
        reached(Phase.REFRESHING),
    )

    assert p.w.login is None
    assert p.w.access is None


def test_a_changed_identity_waits_for_the_attempt_and_then_for_the_user() -> None:
    """SECURITY.md 21: no token goes to another endpoint; signing in there is the agreement."""

    p = check(
        """
        configured identity -> refreshing:sent, after confirm, confirm
        refreshed           -> broken, confirm | note attempt refreshed, close intent, save, note phase confirm_change
        signed-in           -> valid, due +800 | store N1 g2, note sign_in signed_in
    """,
        reached(Phase.REFRESHING),
    )

    assert "https://other.example/token" == p.w.spec.token_endpoint


def test_a_changed_identity_does_not_displace_a_removal() -> None:
    """What was asked for first, and weighs more, stays."""

    check(
        """
        remove              -> refreshing:sent, after remove
        configured identity -> refreshing:sent, after remove, confirm
        signed-in           -> valid, due +800, after remove | abandon #1, store N1 g2, note sign_in signed_in
    """,
        reached(Phase.REFRESHING),
    )


def test_signing_in_during_an_attempt_drops_a_waiting_question() -> None:
    """The new login was made at the new endpoint, so nothing is left to ask."""

    check(
        """
        configured identity -> refreshing:sent, after confirm, confirm
        signed-in           -> valid, due +800 | abandon #1, store N1 g2, note sign_in signed_in
        stored 2            -> valid, due +800 | save
    """,
        reached(Phase.REFRESHING),
    )


def test_an_identity_that_is_changed_back_during_an_attempt_is_no_change() -> None:
    """Nothing is left to agree to; what else was asked for stays."""

    check(
        """
        configured identity -> refreshing:sent, after confirm, confirm
        configured timing   -> refreshing:sent
        pause               -> refreshing:sent, after pause
        configured identity -> refreshing:sent, after pause, confirm
        configured timing   -> refreshing:sent, after pause
    """,
        reached(Phase.REFRESHING),
    )


def test_a_configuration_that_is_changed_back_recovers() -> None:
    """Broken by a change: the next read finds that the login fits again."""

    check(
        """
        configured timing   -> loading | check L1 g1, load
        loaded              -> waiting, due +0, due/start
    """,
        reached(Phase.BROKEN),
    )


def test_a_sign_in_before_the_keyring_was_read_is_written_above_what_is_there() -> None:
    """The generation is known only after reading; nothing newer in the slots may be overwritten."""

    p = check("""
        keyring locked      -> loading, due +60, keyring locked
        signed-in           -> valid, due +800, unsaved | load, note sign_in signed_in
        keyring locked      -> valid, due +800, unsaved
        +60 time            -> valid, due +740, unsaved | load
        keyring locked      -> valid, due +740, unsaved
        keyring up          -> valid, due +740, unsaved | load
        loaded 7            -> valid, due +740 | store N1 g8
        stored 8            -> valid, due +740 | save
        loaded 8            -> valid, due +740
    """)

    assert 8 == p.w.highest_generation


def test_a_sign_in_over_an_empty_keyring_is_written_immediately() -> None:
    """Nothing was there, so nothing has to be outnumbered."""

    check("""
        signed-in           -> valid, due +800, unsaved | load, note sign_in signed_in
        loaded none         -> valid, due +800 | store N1 g1
    """)


def test_a_login_in_memory_only_survives_pause_and_resume() -> None:
    """What the keyring holds is older."""

    check("""
        signed-in           -> valid, due +800, unsaved | load, note sign_in signed_in
        pause               -> paused, unsaved | save, note phase paused
        resume              -> loading, unsaved | save, load, note phase resumed
        loaded 3            -> waiting, due +0, due/start | store N1 g4
    """)


def test_a_paused_workload_stays_paused_after_a_restart() -> None:
    """M17: a pause is saved, so no attempt is made at start."""

    check("loaded paused -> paused")


def test_what_was_paused_says_so_behind_a_locked_keyring() -> None:
    """M14, M17: state.db knows of the pause. Only a resume reads the keyring, and finds out how that is."""

    check("""
        keyring paused locked -> paused
        keyring up            -> paused
        wake                  -> paused
        resume                -> loading | save, load, note phase resumed
        keyring locked        -> loading, due +60, keyring locked
        keyring up            -> loading, keyring locked | load
        loaded                -> waiting, due +0, due/start
    """)


def test_a_verdict_outlasts_a_pause_behind_a_locked_keyring() -> None:
    """What is written on the resume still names the refused combination: it isn't sent once more."""

    p = player()
    p.saved = Saved(signed_out=SignedOut.REFUSED, combination=login().fingerprint(), lost_rotations=2)
    play_line(p, "keyring paused locked")
    kept = saved(p.w, p.now)
    assert (SignedOut.REFUSED, login().fingerprint(), 2, True) == (
        kept.signed_out,
        kept.combination,
        kept.lost_rotations,
        kept.paused,
    )


def test_an_open_intent_counts_only_for_the_login_it_names() -> None:
    """RULES.md section 4: after a crash between sending and storing the mark stands."""

    check("loaded intent -> waiting, due +0, due/start, marked")


def test_the_long_phase_continues_after_a_restart() -> None:
    """M6: the ceiling does not begin anew; times from the future are clamped."""

    p = check("loaded retrying -> waiting, due +0, due/start, long")
    assert 400.0 == saved(p.w, p.now).counted
    p.pass_time(100.0)
    assert 500.0 == saved(p.w, p.now).counted
    q = player()
    play_line(q, "offline")
    play_line(q, "loaded retrying")
    q.pass_time(100.0)
    assert 400.0 == saved(q.w, q.now).counted
    play_line(q, "online")
    q.pass_time(50.0)
    assert 450.0 == saved(q.w, q.now).counted


def test_state_db_gets_verdict_outage_and_pause() -> None:
    """state.db gets the verdict, the outage and the pause; never a token."""

    refused = reached(Phase.SIGNED_OUT)
    assert SignedOut.REFUSED == saved(refused.w, refused.now).signed_out
    assert refused.w.combination == saved(refused.w, refused.now).combination
    paused = reached(Phase.PAUSED)
    assert Saved(lineage="L", paused=True) == saved(paused.w, paused.now)


def test_a_loopback_endpoint_is_not_blocked_by_the_gate() -> None:
    """M10: no network lies between."""

    p = player()
    p.w = replace(p.w, spec=replace(SPEC, token_endpoint="http://127.0.0.1:9/token"))
    play_line(p, "offline")

    assert not p.w.gate_blocked


def test_go_without_a_login_does_nothing() -> None:
    """It cannot happen, and if it does no token is invented."""

    p = reached(Phase.WAITING)
    p.w = replace(p.w, login=None)

    check("go -> waiting, due +0, due/start", p)


def test_attempts_that_sent_nothing_do_not_use_up_the_automatic_ones() -> None:
    """M8: a connection that fails costs no token, so the attempts of a whole burst count for nothing."""

    p = _at_the_last_try_of_the_burst()
    assert 1 == len(p.w.recent), "the one under way, which may yet be sent"
    play_line(p, "not-sent")
    assert not p.w.recent
    for event in ("manual", "+1 go", "probe ok", "busy 503", "+2 go", "probe ok", "not-sent", "go", "probe ok"):
        play_line(p, event)
    assert [p.now.at] == list(p.w.recent)


# --- no way to the server ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("network", "unreachable -> waiting, due +0.25, burst/network | save"),
        ("network; unreachable", "unreachable -> waiting, due +0.5, burst/network | save"),
        ("wake", "unreachable tls -> waiting, due +0.25, burst/wake | save"),
        ("wake", "+14 unreachable tls -> waiting, due +0.25, burst/wake | save"),
        ("wake", "+15 unreachable tls -> waiting, due +60, portal/tick, long | note phase auth_retrying, save"),
        ("go; probe ok; not-sent", "+9 unreachable -> waiting, due +1, short_retry/short_retry"),
        ("go; probe ok; not-sent", "+10 unreachable -> waiting, due +15, short_retry/short_retry | save"),
        ("manual", "unreachable -> waiting, due +0, due/manual"),
        ("go; probe ok; ambiguous", "unreachable -> waiting, due +0, again/short_retry, marked"),
        ("go; probe locked", "+60 unreachable -> waiting, due +0, due/start, keyring locked"),
    ],
)
def test_what_another_workload_found_out_about_the_way_counts_here(before: str, line: str) -> None:
    """M8: the burst moves one step, what was due is planned anew; a click and the rescue of a token stay as they are."""

    check(line, played(reached(Phase.WAITING), before))


def test_a_way_that_was_tried_on_the_network_before_says_nothing() -> None:
    """M8: the burst of the new network is not shortened by what failed in the old one."""

    p = played(reached(Phase.WAITING), "network")
    began = p.now.at
    p.pass_time(1.0)
    play_line(p, "network")
    before = p.w
    after, effects = machine.step(p.w, Unreachable(p.now, NotSent(Problem("dns", "no")), began))
    assert (before, ()) == (after, effects)


def test_manual_attempts_do_not_use_up_the_automatic_ones() -> None:
    """M8: at most 15 automatic attempts in ten minutes."""

    p = player(Policy(automatic_attempts=2, initial_retry_interval=1.0))
    for event in ("loaded", "go", "probe ok", "not-sent", "manual", "+1 go", "probe ok", "not-sent"):
        play_line(p, event)
    assert not p.w.recent
    for event in ("+2 go", "probe ok", "busy 503", "+3 go", "probe ok", "busy 503"):
        play_line(p, event)

    assert 2 == len(p.w.recent)
    assert p.w.recent[0] + 600.0 == deadlines.ready_at(p.w)


def test_ordinary_refreshes_do_not_count_towards_the_limit() -> None:
    """M8: a token of thirty seconds is refreshed 25 times in ten minutes, and never waits for the limit."""

    p = reached(Phase.WAITING)
    for _ in range(40):
        for event in ("+24 go", "probe ok", "refreshed"):
            play_line(p, event)

    assert not p.w.recent


def test_late_writes_and_readings_find_their_place() -> None:
    """Answers of the keyring that come in another phase than they were asked in."""

    check(
        """
        ambiguous           -> waiting, due +0, again/short_retry, marked | note attempt ambiguous, save
        refreshed rotated   -> waiting, due +0, again/short_retry | store L2 g2, note attempt late
        go                  -> refreshing:probe | probe #2
        probe ok            -> refreshing:sent | send #2 L2
        not-stored failed   -> refreshing:sent, unsaved
        keyring locked      -> refreshing:sent, unsaved
        keyring up          -> refreshing:sent, unsaved
        refreshed rotated   -> refreshing:storing | note attempt refreshed, store L3 g3
        stored 2            -> refreshing:storing
        stored 3            -> valid, due +800 | save
    """,
        reached(Phase.REFRESHING),
    )


def test_a_token_without_an_end_waits_for_no_keyring() -> None:
    """Stored or not, there is no refresh ahead of an unknown expiry."""

    check(
        """
        refreshed endless   -> valid | note attempt refreshed, close intent, save
        rejected            -> waiting, due +10, due/rejected, 1 strikes
        +10 go              -> refreshing:probe, 1 strikes | probe #2
        probe ok            -> refreshing:sent, 1 strikes | send #2 L1
        refreshed endless rotated -> refreshing:storing, 1 strikes | note attempt refreshed, store L2 g2
        not-stored failed   -> valid, unsaved, 1 strikes | save, note attempt store_failed
    """,
        reached(Phase.REFRESHING),
    )


def test_a_write_that_was_overtaken_by_a_sign_in_counts_for_nothing() -> None:
    """What was written is not the newest login any more; the newest has its own write."""

    check(
        """
        signed-in           -> valid, due +800 | store N1 g2, note sign_in signed_in
        signed-in           -> valid, due +990 | store N1 g3, note sign_in signed_in
        stored 2            -> valid, due +990
        not-stored locked   -> valid, due +990, unsaved
        +60 time            -> valid, due +930 | store N1 g3
        stored 3            -> valid, due +740 | save
    """,
        reached(Phase.VALID),
    )


def test_before_the_slots_were_read_nothing_is_written() -> None:
    """The login of a sign-in that overtook the read is rotated: the highest generation isn't known yet."""

    check("""
        keyring locked      -> loading, due +60, keyring locked
        signed-in           -> valid, due +800, unsaved | load, note sign_in signed_in
        refreshed rotated   -> valid, due +800, unsaved | load, note attempt late
        +800 go             -> refreshing:probe, unsaved | probe #1
        probe ok            -> refreshing:sent, unsaved | send #1 N2
        refreshed rotated   -> valid, due +990, unsaved | note attempt refreshed, load, save
        loaded 9            -> valid, due +990 | store N3 g10
        stored 10           -> valid, due +800 | save
    """)


def test_a_removal_under_way_outlasts_the_shutdown() -> None:
    """Revoking and deleting continue; nothing is saved for a workload that is about to be forgotten."""

    check(
        """
        remove              -> paused, after remove | forget L1 and revoke
        shutdown            -> paused, after remove
    """,
        reached(Phase.VALID),
    )


def test_a_sign_in_error_lasts_until_the_next_sign_in() -> None:
    """The command line and the dashboard show it; a new sign-in clears it."""

    p = reached(Phase.SIGNED_OUT)
    play_line(p, "sign-in started")
    play_line(p, "sign-in failed")
    assert p.w.sign_in_error is not None
    assert "denied" == p.w.sign_in_error.kind
    play_line(p, "sign-in started")
    assert p.w.sign_in_error is None
    play_line(p, "sign-in failed")
    play_line(p, "signed-in")

    assert p.w.sign_in_error is None


def test_a_mark_from_before_outlives_a_request_during_the_probe() -> None:
    """M9: that this attempt was called off proves nothing about the one that was sent earlier."""

    p = reached(Phase.WAITING)
    p.w = replace(p.w, maybe_spent=True, marked_at=p.now.at)
    check(
        """
        go                  -> refreshing:probe, marked | probe #1
        shutdown            -> refreshing:probe, marked, after shutdown
        probe ok            -> waiting, due +0, due/start, marked, after shutdown | save, done
    """,
        p,
    )


def test_a_sign_in_warning_lasts_as_long_as_its_login() -> None:
    """A sign-in that comes to nothing changes nothing about the login; a new one and signing out do."""

    warning = Problem("id_token", "Whose account?")
    for goes in ("signed-in", "sign-out"):
        p = reached(Phase.VALID)
        p.w = replace(p.w, sign_in_warning=warning)
        play_line(p, "sign-in started")
        play_line(p, "sign-in failed")
        assert warning == p.w.sign_in_warning
        play_line(p, goes)
        assert p.w.sign_in_warning is None


def test_a_request_during_the_probe_is_done_before_a_token_is_spent() -> None:
    """M17: nothing was sent yet, so nothing has to be finished."""

    for wish, end in (
        ("pause", "paused | close intent, save, note phase paused"),
        ("remove", "paused, after remove | close intent, forget L1 and revoke"),
        ("shutdown", "waiting, due +0, due/start, after shutdown | close intent, save, done"),
    ):
        check(
            f"""
            go                  -> refreshing:probe | probe #1
            {wish}              -> refreshing:probe, after {wish}
            probe ok            -> {end}
        """,
            reached(Phase.WAITING),
        )
