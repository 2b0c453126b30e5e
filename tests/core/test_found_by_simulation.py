"""Regressions found by the simulated laptop (`python -m tests.simulation`)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.history import play_line, played, player, reached
from trayapp.core import deadlines, gate, machine
from trayapp.core.attempts import DEADLINE_MARGIN
from trayapp.core.gate import Gate
from trayapp.core.messages import CloseIntent, Load, Save
from trayapp.core.model import Phase, Policy, Series


def test_a_wake_settles_even_when_the_attempt_of_an_offline_tick_is_long_due() -> None:
    """M10: after hours of sleep and still offline, an attempt against the gate waits for DHCP like any other."""

    p = reached(Phase.WAITING)
    shut = gate.network(Gate(), p.now.at, offline=True)
    p.pass_time(7200.0, asleep=True)
    awake = gate.woke(shut, p.now.at)

    assert p.now.at + gate.SETTLE == deadlines.opens_at(p.w, awake)


def test_a_network_change_during_an_attempt_that_fails_starts_the_burst_after_it() -> None:
    """M8: in the long phase the next tick would be ten minutes away."""

    p = played(reached(Phase.REFRESHING), "not-sent")
    while p.w.failing is None or not p.w.failing.exhausted:
        p.pass_time(60.0)
        played(p, "go; probe ok; not-sent")
    played(p, "+600 go; probe ok; +1 network; +4 not-sent")

    assert Series.BURST is p.w.series
    assert p.now.at == p.w.due


@pytest.mark.parametrize(("news", "trigger"), [("network", "network"), ("wake", "network")])
def test_a_change_during_the_probe_makes_the_attempt_the_first_of_the_burst(news: str, trigger: str) -> None:
    """M8: the gate holds the attempt back until the network has settled; its failure says something about the new one."""

    p = played(reached(Phase.WAITING), "go; probe ok; not-sent; +10 go")
    played(p, f"+5 {news}; +1 probe ok; not-sent")
    assert (Series.BURST, trigger, 0.25) == (p.w.series, p.w.trigger.value, (p.w.due or 0.0) - p.now.at)

    p = played(reached(Phase.WAITING), f"go; probe ok; ambiguous; go; {news}; probe ok; not-sent")
    assert Series.AGAIN is p.w.series, "M9 stands above M8"


def test_a_change_during_an_attempt_counts_its_failures_afresh() -> None:
    """M6: the ceiling needs three failures since the latest change, wherever the workload stood when it came."""

    p = played(reached(Phase.REFRESHING), "not-sent; +10 go; probe ok; +1 network; +1 not-sent")

    assert p.w.failing is not None
    assert 1 == p.w.failing.fresh_tries


def test_a_wake_asks_a_keyring_that_was_in_trouble() -> None:
    """Without an unlock signal, a wake is the hint that it was unlocked; a network change is not."""

    p = played(reached(Phase.WAITING), "go; probe locked")
    due = p.w.due
    played(p, "+5 network")
    assert due == p.w.due

    played(p, "+5 wake")
    assert p.now.at == p.w.due


@pytest.mark.parametrize("news", ["network", "wake"])
def test_a_change_while_the_keyring_is_locked_is_not_forgotten(news: str) -> None:
    """M8: the first attempt after the unlock meets the new network, so its failure continues in the burst, not in a tick."""

    p = played(reached(Phase.REFRESHING), "not-sent")
    while p.w.failing is None or not p.w.failing.exhausted:
        played(p, "+60 go; probe ok; not-sent")
    played(p, f"+600 go; probe locked; +5 {news}; +1 go; probe ok; not-sent dns")

    assert (Series.BURST, 0.25) == (p.w.series, (p.w.due or 0.0) - p.now.at)

    p = played(reached(Phase.REFRESHING), f"ambiguous; go; probe locked; +5 {news}")
    assert Series.AGAIN is p.w.series, "M9 stands above M8"


@pytest.mark.parametrize(("on_its_way", "asleep"), [("12", ""), ("25", ""), ("600", "asleep ")])
def test_a_token_lives_from_when_it_was_asked_for(on_its_way: str, asleep: str) -> None:
    """M1: the server counts from its answer, and that may have been long on its way; the machine may even have slept."""

    p = reached(Phase.REFRESHING)
    assert p.w.attempt is not None
    asked = p.w.attempt.began
    played(p, f"+{on_its_way} {asleep}refreshed")

    assert p.w.access is not None
    assert asked.at + 1000.0 == p.w.access.expires_at
    assert asked.wall + 1000.0 == p.w.access.expires_wall


@pytest.mark.parametrize(
    ("host", "delays"),
    [
        pytest.param("auth.atlassian.com", [60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 600.0], id="600 s"),
        pytest.param("a.okta.com", [600.0] * 10, id="a short grace is over by then"),
        pytest.param("as.example", [600.0] * 10, id="nobody knows a grace"),
    ],
)
def test_a_long_grace_is_not_slept_through_by_the_tick(host: str, delays: list[float]) -> None:
    """M9: when the quick series had no answer, a server that forgives for ten minutes is asked inside them."""

    p = reached(Phase.WAITING)
    assert p.w.login is not None
    p.w = replace(p.w, login=replace(p.w.login, token_endpoint=f"https://{host}/token"))
    found: list[float] = []
    while len(found) < 10:
        played(p, f"go; probe ok; {'busy 503' if p.w.series is Series.TICK else 'ambiguous'}")
        assert p.w.due is not None
        if p.w.series is Series.TICK:
            found.append(p.w.due - p.now.at)
        p.pass_time(p.w.due - p.now.at)

    assert delays == found


def test_a_retry_now_that_waits_through_a_wake_fails_into_the_burst() -> None:
    """M8: *Retry now* leaves before DNS is back; the next try comes in a quarter of a second, not at the next tick."""

    p = played(reached(Phase.WAITING), "manual; wake; go; probe ok; not-sent dns")

    assert Series.BURST is p.w.series
    assert p.w.due is not None
    assert 0.25 == p.w.due - p.now.at


def test_a_retry_now_that_waits_through_a_wake_keeps_the_same_token_series() -> None:
    """M9 stands above M8."""

    p = played(reached(Phase.REFRESHING), "ambiguous; manual; wake")

    assert Series.AGAIN is p.w.series


def test_a_verdict_is_saved_before_its_intent_is_closed() -> None:
    """Otherwise a crash between the two would ask again, and call a lost rotation a refusal."""

    p = reached(Phase.REFRESHING)
    _, effects = play_line(p, "refused")

    kinds = [type(effect) for effect in effects]
    assert kinds.index(Save) < kinds.index(CloseIntent)


@pytest.mark.parametrize(("generation", "marked"), [(1, False), (2, True)])
def test_a_later_login_that_never_reached_the_keyring_leaves_the_older_one_in_doubt(
    generation: int, marked: bool
) -> None:
    """The keyring failed, the program went on from memory, and crashed: the token that is left is spent."""

    p = reached(Phase.LOADING)
    p.saved = replace(p.saved, open_intent="of another token", open_generation=generation)
    played(p, "loaded")

    assert marked is p.w.maybe_spent


def test_a_ceiling_is_not_decided_offline() -> None:
    """M6: an attempt made while "offline" says nothing about the login."""

    p = played(player(replace(Policy(), ceiling=1000.0)), "loaded; go; probe ok; not-sent")
    for _ in range(8):
        played(p, "+130 go; probe ok; not-sent")
    played(p, "+600 offline; go; probe ok; not-sent")
    assert p.w.failing is not None
    assert not p.w.failing.gave_up

    played(p, "+600 online; go; probe ok; not-sent")
    assert p.w.failing is not None
    assert p.w.failing.gave_up


@pytest.mark.parametrize(("lineage", "long"), [("", True), ("L", True), ("of before the sign-in", False)])
def test_an_outage_of_the_login_before_is_not_the_new_ones(lineage: str, long: bool) -> None:
    """The program crashed after a sign-in was stored and before state.db knew: the ceiling of before is not its own."""

    p = player(lineage=lineage, retrying_since=1.0, counted=90_000.0, gave_up=True)
    played(p, "loaded")

    assert long is (p.w.failing is not None)


@pytest.mark.parametrize(("marked", "pauses"), [(True, (10.0, 60.0)), (False, (600.0, 600.0))])
def test_a_token_in_doubt_is_tried_although_the_kernel_says_offline(marked: bool, pauses: tuple[float, float]) -> None:
    """The kernel wrongly said "offline" after a crash: with one attempt per tick the server's grace would run out."""

    p = reached(Phase.WAITING)
    p.w = replace(p.w, maybe_spent=marked, marked_at=p.now.at)
    shut = Gate(offline=True, closed_since=p.now.at)

    for last, pause in zip((p.w.last_attempt_at, p.now.at + 10.0), pauses, strict=True):
        p.w = replace(p.w, last_attempt_at=last)
        assert max(p.now.at, last or 0.0) + pause == deadlines.opens_at(p.w, shut)
    p.w = replace(p.w, last_attempt_at=p.now.at + 600.0)
    assert p.now.at + 1200.0 == deadlines.opens_at(p.w, shut)


@pytest.mark.parametrize(("again", "pause"), [(0.0, 10.0), (0.5, 10.0), (-30.0, 60.0)])
def test_a_token_put_in_doubt_against_the_kernels_word_is_tried_again_within_a_grace_of_a_minute(
    again: float, pause: float
) -> None:
    """An attempt made although the kernel said "offline" lost its answer: it was sent, so there is a network after all.

    The mark (`again` s after that attempt began) is its own; an older one says nothing about it.
    """
    p = reached(Phase.WAITING)
    shut, last = Gate(offline=True, closed_since=p.now.at), p.now.at + 100.0
    p.w = replace(p.w, maybe_spent=True, marked_at=last + again, last_attempt_at=last)

    assert last + pause == deadlines.opens_at(p.w, shut)


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_within_the_long_phase_leaves_time_for_the_grace(status: int) -> None:
    """There the short retry is over, so the single repeat was followed by the tick, ten minutes later."""

    p = played(reached(Phase.REFRESHING), "busy 503")
    while p.w.failing is None or not p.w.failing.exhausted:
        p.pass_time(60.0)
        played(p, "go; probe ok; busy 503")
    waits = []
    for _ in range(7):
        assert p.w.due is not None
        p.pass_time(p.w.due - p.now.at)
        played(p, f"go; probe ok; busy {status}")
        assert p.w.due is not None
        waits.append(p.w.due - p.now.at)

    repeat = p.w.spec.policy.gateway_repeat
    assert waits == [repeat, 20.0, repeat, 20.0, repeat, 600.0, repeat], "for a minute, then by the tick"


def test_a_token_in_doubt_does_not_wait_for_the_limit_of_attempts() -> None:
    """The dead ends of a burst had used M8's limit up, and the server's grace ran out meanwhile. One series more, no more."""

    p = played(reached(Phase.WAITING), "go; probe ok; ambiguous")
    assert Series.AGAIN is p.w.series

    p.w = replace(p.w, recent=tuple(p.now.at - 100.0 + n for n in range(20)))
    assert p.w.due == deadlines.opens_at(p.w, Gate())
    assert p.now.at + 505.0 == deadlines.opens_at(replace(p.w, series=Series.BURST), Gate())
    p.w = replace(p.w, recent=(*p.w.recent, p.now.at))
    assert p.now.at + 500.0 == deadlines.opens_at(p.w, Gate())


def test_what_was_refused_is_forgotten_only_when_the_new_login_is_stored() -> None:
    """A crash before that leaves the refused login, which must not be asked about again."""

    p = reached(Phase.SIGNED_OUT)
    _, signing_in = play_line(p, "signed-in")
    _, storing = play_line(p, "stored")

    assert not any(isinstance(effect, Save) for effect in signing_in)
    assert any(isinstance(effect, Save) for effect in storing)


@pytest.mark.parametrize("line", ["not-stored; +240 go; probe ok; refreshed", "pause", "not-stored; pause"])
def test_a_login_that_was_never_stored_does_not_make_the_refusal_of_the_older_one_forgotten(line: str) -> None:
    """After a crash the older one is found in the keyring, and must not be sent again (RULES.md section 5)."""

    p = reached(Phase.SIGNED_OUT)
    before = machine.saved(p.w, p.now)
    played(p, f"signed-in; {line}")
    during = machine.saved(p.w, p.now)

    assert before.combination
    assert p.w.unsaved
    assert (before.signed_out, before.combination, before.refusal) == (
        during.signed_out,
        during.combination,
        during.refusal,
    )


def test_a_second_sign_in_that_is_not_stored_keeps_the_refusal_too() -> None:
    """Until one of them is stored; then it is forgotten."""

    p = reached(Phase.SIGNED_OUT)
    refused = p.w.combination
    played(p, "signed-in; not-stored; signed-in; not-stored")
    during = machine.saved(p.w, p.now)
    played(p, "signed-in; stored")

    assert refused == during.combination
    assert "" == machine.saved(p.w, p.now).combination
    assert machine.saved(p.w, p.now).signed_out is None


@pytest.mark.parametrize(
    ("host", "limit"),
    [
        pytest.param("a.okta.com", 15.0, id="half of 30 s"),
        pytest.param("auth.atlassian.com", 30.0, id="ten minutes leave time enough"),
        pytest.param("a.zitadel.cloud", 30.0, id="no grace: waiting costs nothing"),
        pytest.param("as.example", 30.0, id="nobody knows a grace"),
    ],
)
def test_an_answer_that_never_comes_is_given_up_inside_the_grace(host: str, limit: float) -> None:
    """M9: an attempt as long as the grace left no time for the repeat that would have saved the login."""

    p = reached(Phase.WAITING)
    assert p.w.login is not None
    p.w = replace(p.w, login=replace(p.w.login, token_endpoint=f"https://{host}/token"))
    played(p, "go; probe ok")

    assert p.w.login is not None
    assert limit == deadlines.attempt_limit(p.w.login, p.w.spec.policy)
    assert p.w.attempt is not None
    assert p.now.at + limit + DEADLINE_MARGIN == p.w.attempt.deadline
    assert 2.0 == deadlines.attempt_limit(p.w.login, Policy(attempt_limit=2.0))  # a shorter one is somebody's wish


def test_a_very_short_grace_leaves_time_to_connect() -> None:
    """A slow network could otherwise never refresh."""

    p = reached(Phase.WAITING)
    assert p.w.login is not None
    short = replace(p.w.login, token_endpoint="https://a.okta.com/token")

    assert 24.0 == deadlines.attempt_limit(short, Policy(connect_limit=12.0))


@pytest.mark.parametrize("line", ["missing; not-stored", "missing; not-stored; +1 network"])
def test_a_write_that_failed_while_the_keyring_is_read_does_not_hide_when_it_is_read_again(line: str) -> None:
    """Paused and resumed with a keyring that had lost the login and then failed: it was never read again unasked."""

    p = played(reached(Phase.VALID), f"pause; resume; {line}; keyring failed")
    for _ in range(3):
        due = deadlines.next_deadline(p.w, Gate())
        assert due is not None
        assert due > p.now.at
        p.pass_time(due - p.now.at)
        _, effects = play_line(p, "time")
        assert any(isinstance(effect, Load) for effect in effects)
        played(p, "keyring failed")


def test_a_write_that_is_due_during_an_attempt_does_not_hide_the_attempts_deadline() -> None:
    """Signed in before the keyring was read, which then failed: nothing is written while an attempt is under way, so until
    its end there is nothing to wake up for."""

    p = played(player(), "signed-in; +900 go; keyring failed; +40 probe ok; +20 time")
    assert (Phase.REFRESHING, True) == (p.w.phase, p.w.unsaved)
    due = deadlines.next_deadline(p.w, Gate())
    assert due is not None
    assert p.w.attempt is not None
    assert due == p.w.attempt.deadline
