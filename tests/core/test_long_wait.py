"""M3: `running` is for a usable token or the short retry; a wait that outlasts the short retry is amber immediately."""

from __future__ import annotations

import pytest

from tests.core.history import Player, aligned, play, play_line, player
from trayapp.core.gate import Gate
from trayapp.core.model import Policy
from trayapp.core.view import derive, next_change


def check(text: str, p: Player) -> None:
    """Play a history and compare it with what really happened."""
    assert aligned(text) == play(text, p)


def shown(p: Player) -> str:
    """Status, detail, and the seconds until the next attempt."""
    view = derive(p.w, Gate(), p.now)
    wait = None if view.auth.next_attempt_at is None else view.auth.next_attempt_at - p.now.wall
    return f"{view.status} {view.auth.detail} {wait if wait is None else format(wait, 'g')}"


def had_a_token(p: Player) -> Player:
    """The refresh of a token that has just ended is under way."""
    for event in ("loaded", "go", "probe ok", "refreshed", "+1000 go", "probe ok"):
        play_line(p, event)
    return p


def test_a_wait_beyond_the_short_retry_is_amber_immediately() -> None:
    """M3: the server's 600 s go beyond the 81 s that are left; the attempt keeps its time, and the word stays until success."""

    p = had_a_token(player())
    check(
        """
        busy 503 after 600  -> waiting, due +10, short_retry/short_retry, long wait, not before +600 | note attempt server_busy, close intent, save
    """,
        p,
    )
    assert "auth_retrying server_said_wait 600" == shown(p)
    check(
        """
        +600 go             -> refreshing:probe, long wait | probe #3
        probe ok            -> refreshing:sent, long wait | send #3 L1
    """,
        p,
    )
    assert "auth_retrying retrying None" == shown(p)
    check("refreshed           -> valid, due +800 | note attempt refreshed, close intent, save", p)
    assert "running ok 800" == shown(p)


def test_a_wait_within_the_short_retry_is_not_shown() -> None:
    """M3: what the short retry would have waited anyway changes no status; what remains of it gets less with each try."""

    p = had_a_token(player())
    check(
        """
        busy 503 after 60   -> waiting, due +10, short_retry/short_retry, not before +60 | note attempt server_busy, close intent, save
    """,
        p,
    )
    assert "running server_said_wait 60" == shown(p)
    check(
        """
        +60 go              -> refreshing:probe | probe #3
        probe ok            -> refreshing:sent | send #3 L1
        busy 503 after 70   -> waiting, due +15, short_retry/short_retry, not before +70 | note attempt server_busy, close intent, save
        +70 go              -> refreshing:probe | probe #4
        probe ok            -> refreshing:sent | send #4 L1
        busy 503 after 60   -> waiting, due +22.5, short_retry/short_retry, long wait, not before +60 | note attempt server_busy, close intent, save
    """,
        p,
    )
    assert "auth_retrying server_said_wait 60" == shown(p)
    check(
        """
        +60 go              -> refreshing:probe, long wait | probe #5
        probe ok            -> refreshing:sent, long wait | send #5 L1
        busy 503            -> waiting, due +33.75, short_retry/short_retry, long wait | note attempt server_busy, close intent, save
    """,
        p,
    )
    assert "auth_retrying retrying 33.75" == shown(p)


def test_a_long_wait_behind_a_usable_token_is_amber_when_the_token_ends() -> None:
    """M3: what people see is whether their clients work."""

    p = player()
    for event in ("loaded", "go", "probe ok", "refreshed", "+800 go", "probe ok"):
        play_line(p, event)
    check(
        """
        busy 503 after 600  -> waiting, due +10, short_retry/short_retry, long wait, not before +600 | note attempt server_busy, close intent, save
    """,
        p,
    )
    assert "running ok 600" == shown(p)
    change = next_change(p.w, Gate(), p.now)
    assert change == pytest.approx(p.now.at + 190.0, abs=0.01)
    p.pass_time(190.01)
    assert "auth_retrying server_said_wait 409.99" == shown(p)


def test_a_long_wait_is_amber_when_the_upstream_rejects_the_token() -> None:
    """M3: a rejected token is no usable one, and the wait is kept."""

    p = player()
    for event in ("loaded", "go", "probe ok", "refreshed", "+800 go", "probe ok", "busy 503 after 600", "rejected"):
        play_line(p, event)
    assert "auth_retrying server_said_wait 600" == shown(p)


@pytest.mark.parametrize("first", ["busy 502 after 600", "busy 504 after 600"])
def test_a_gateway_error_with_a_long_wait(first: str) -> None:
    """M3 and M12: the one repeat after a 502 or 504 waits as well, and is no secret."""

    p = had_a_token(player())
    check(
        f"""
        {first} -> waiting, due +2, again/short_retry, long wait, marked, not before +600 | note attempt server_busy, save
    """,
        p,
    )
    assert "auth_retrying server_said_wait 600" == shown(p)


def test_gateway_errors_without_a_wait_stay_in_the_short_retry() -> None:
    """M3: 502 and 504 in a row are `running` until the tries are used up."""

    p = had_a_token(player())
    seen = []
    for number in range(6):
        play_line(p, ("busy 502", "busy 504")[number % 2])
        seen.append(shown(p).split()[0])
        play_line(p, f"+{p.w.due - p.now.at if p.w.due else 0} go")
        play_line(p, "probe ok")
    assert ["running"] * 5 + ["auth_retrying"] == seen


def test_a_burst_that_is_told_to_wait() -> None:
    """M3 and M8: a nudge doesn't shorten the server's wait, and the status stays."""

    p = had_a_token(player())
    for event in ("not-sent", "network", "go", "probe ok"):
        play_line(p, event)
    check(
        """
        busy 503 after 600  -> waiting, due +10, short_retry/short_retry, long wait, not before +600 | note attempt server_busy, close intent, save
        +30 network         -> waiting, due +0, burst/network, long wait, not before +570
    """,
        p,
    )
    assert "auth_retrying server_said_wait 570" == shown(p)


def test_a_wait_in_the_same_token_series() -> None:
    """M3 and M9: a complete answer ends the series; the wait that it names is shown."""

    p = had_a_token(player())
    for event in ("ambiguous", "go", "probe ok"):
        play_line(p, event)
    check(
        """
        busy 503 after 600  -> waiting, due +10, short_retry/short_retry, long wait, marked, not before +600 | note attempt server_busy, save
    """,
        p,
    )
    assert "auth_retrying server_said_wait 600" == shown(p)
    check("+5 manual            -> waiting, due +0, short_retry/manual, long wait, marked, not before +595", p)
    assert "auth_retrying retrying 0" == shown(p)


def test_a_wait_that_outlives_a_pause_is_not_starting() -> None:
    """M3 and M12: a pause ends the outage but not the server's wait."""

    p = had_a_token(player())
    for event in ("busy 503 after 600", "pause", "resume", "loaded"):
        play_line(p, event)
    assert "auth_retrying server_said_wait 600" == shown(p)


def test_the_limit_of_attempts_is_a_wait_like_any_other() -> None:
    """M3 and M8: what the limit holds back for minutes is not `running`."""

    p = had_a_token(player(Policy(automatic_attempts=1)))
    play_line(p, "busy 503")
    assert "running retrying 10" == shown(p)
    play_line(p, "+10 go")
    play_line(p, "probe ok")
    play_line(p, "busy 503")
    assert "auth_retrying retrying 600" == shown(p)
