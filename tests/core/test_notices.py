"""Notifications: what is shown once, what is repeated, and what is withdrawn."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trayapp
from trayapp.core.model import BrowserFault, DeviceCode, Problem
from trayapp.core.notices import OVERRULABLE, ShownNotices, forget, notices
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.core.snapshot import AuthView, Detail, Snapshot, Status, WorkloadView
from trayapp.core.view import style_of

T = 1_700_000_000.0
DAY = 86400.0
SHOW = ("Show", Action(Verb.SHOW))


def view(
    name: str, status: Status, detail: Detail, since: float | None = None, signing_in: bool = False
) -> WorkloadView:
    drawn = style_of(status)
    auth = AuthView(detail, T, retrying_since=since, signing_in=signing_in)
    return WorkloadView(name, "", status, "", drawn.health, drawn.colour, drawn.glyph, auth)


def green(name: str) -> WorkloadView:
    return view(name, Status.RUNNING, Detail.OK)


def amber(name: str, since: float | None = T - 100.0, detail: Detail = Detail.RETRYING) -> WorkloadView:
    return view(name, Status.AUTH_RETRYING, detail, since)


def red(name: str, detail: Detail = Detail.REFUSED, signing_in: bool = False) -> WorkloadView:
    return view(name, Status.UNAUTHENTICATED, detail, signing_in=signing_in)


class Desk:
    """A desktop that shows notices: `up` is what a person sees, `log` what has popped up so far."""

    def __init__(self) -> None:
        self.state = ShownNotices()
        self.up: dict[str, Notice] = {}
        self.log: list[str] = []

    def see(
        self,
        *views: WorkloadView,
        refused: str = "",
        wall: float = T,
        user_is_back: bool = False,
        gate: str = "",
        muted: bool = False,
    ) -> list[str]:
        """The titles that pop up now."""
        snapshot = Snapshot(1, {v.name: v for v in views}, gate, muted)
        self.state, show, withdraw = notices(self.state, snapshot, frozenset(refused.split()), wall, user_is_back)
        assert not set(withdraw) & {notice.key for notice in show}  # replaced, not taken away
        for key in withdraw:
            self.up.pop(key)  # what is withdrawn was there
        self.up |= {notice.key: notice for notice in show}
        self.log += [notice.title for notice in show]
        return [notice.title for notice in show]


# --- amber -----------------------------------------------------------------------------------------------------------


def test_amber_is_announced_when_a_client_was_refused() -> None:
    """Online, a minute old, and a client was refused: shown once, with reassurance."""

    desk = Desk()
    assert desk.see(amber("jira"), refused="jira") == ["jira is reconnecting"]
    assert desk.up["amber:jira"] == Notice(
        "amber:jira",
        "jira is reconnecting",
        "A client is waiting for it. No action needed.",
        (("Retry now", Action(Verb.RETRY, "jira")),),
    )
    assert desk.see(amber("jira"), refused="jira", wall=T + DAY) == []


@pytest.mark.parametrize(
    ("seen", "refused", "gate", "muted"),
    [
        (amber("jira"), "", "", False),  # nobody asked
        (amber("jira"), "github", "", False),  # somebody asked for another
        (amber("jira"), "jira", "offline", False),  # offline alone notifies nobody
        (amber("jira", since=T - 59.0), "jira", "", False),  # too young
        (amber("jira", since=None), "jira", "", False),  # since is T: too young
        (amber("jira"), "jira", "", True),
        (green("jira"), "jira", "", False),
    ],
)
def test_amber_is_not_announced(seen: WorkloadView, refused: str, gate: str, muted: bool) -> None:
    """Most outages are over before a person needs to know."""

    assert Desk().see(seen, refused=refused, gate=gate, muted=muted) == []


def test_amber_without_a_long_phase_counts_from_its_status() -> None:
    """A locked keyring has no tries to exhaust, and its own advice."""

    desk = Desk()
    assert desk.see(amber("jira", None, Detail.KEYRING_LOCKED), refused="jira", wall=T + 60.0) != []
    assert desk.up["amber:jira"].title == "jira: Keyring locked"
    assert desk.up["amber:jira"].body == "The keyring is locked. Unlock your keyring to continue."


@pytest.mark.parametrize(
    ("detail", "word", "what"),
    [
        (Detail.KEYRING_LOCKED, "Keyring locked", "The keyring is locked. Unlock your keyring to continue."),
        (
            Detail.KEYRING_UNAVAILABLE,
            "Keyring unavailable",
            "The keyring can't be used. Amberlight continues automatically.",
        ),
    ],
)
def test_a_keyring_in_trouble_is_named(detail: Detail, word: str, what: str) -> None:
    """As on the menu and in the list: a person has to do something, so it isn't called reconnecting."""

    desk = Desk()
    held, other = amber("a", None, detail), amber("b")
    assert desk.see(held, refused="a", wall=T + 60.0) == [f"a: {word}"]
    desk = Desk()
    assert desk.see(other, held, refused="a b", wall=T + 60.0) == [f"2 workloads: {word}"]
    assert desk.up["amber"].body == f"a, b. {what}"


@pytest.mark.parametrize("after", [green("jira"), view("jira", Status.STOPPED, Detail.PAUSED)])
@pytest.mark.parametrize("muted", [False, True])
def test_amber_is_withdrawn_on_recovery(after: WorkloadView, muted: bool) -> None:
    """Silently, muted or not; the next outage is announced again."""

    desk = Desk()
    desk.see(amber("jira"), refused="jira")
    assert desk.see(after, muted=muted) == []
    assert desk.up == {}
    assert desk.see(amber("jira"), refused="jira") != []


def test_several_ambers_are_one_notice() -> None:
    """A lost VPN does not pop up ten times; it stays until the last has recovered."""

    desk = Desk()
    desk.see(amber("a"), amber("b"), refused="a")
    assert desk.see(amber("a"), amber("b"), refused="a b") == ["2 workloads are reconnecting"]
    assert desk.up == {
        "amber": Notice(
            "amber",
            "2 workloads are reconnecting",
            "a, b. No action needed.",
            (SHOW,),
        )
    }
    assert desk.see(green("a"), amber("b"), refused="a b") == []
    assert list(desk.up) == ["amber"]
    assert desk.see(amber("a"), amber("b"), refused="a b") == []
    assert desk.see(green("a"), green("b")) == []
    assert desk.up == {}


def test_a_third_amber_replaces_the_notice_of_two() -> None:
    """The same key, so nothing is stacked."""

    desk = Desk()
    desk.see(amber("a"), amber("b"), refused="a b")
    assert desk.see(amber("a"), amber("b"), amber("c"), refused="a b c") == ["3 workloads are reconnecting"]
    assert list(desk.up) == ["amber"]


def test_amber_that_turns_red_is_replaced() -> None:
    """One outage, one notice at a time."""

    desk = Desk()
    desk.see(amber("jira"), refused="jira")
    assert desk.see(red("jira", Detail.CEILING), refused="jira") == ["jira: Sign-in needed"]
    assert list(desk.up) == ["red:jira"]


# --- red -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detail", "body"),
    [
        (Detail.REFUSED, "The server ended this session. Choose Reauthorize to sign in again."),
        (
            Detail.LOST_ROTATION,
            "The server's answer with the new login got lost, and the old login no longer works. Choose Reauthorize to "
            "sign in again.",
        ),
        (
            Detail.CEILING,
            "Couldn't refresh its login for a long time. The login is kept: choose Retry now, or Reauthorize to sign in "
            "again.",
        ),
    ],
)
def test_red_is_announced_at_once(detail: Detail, body: str) -> None:
    """With both buttons, whether or not anybody asked, online or not."""

    desk = Desk()
    desk.see(red("jira", detail), gate="offline")
    buttons = (("Reauthorize", Action(Verb.REAUTHORIZE, "jira")), ("Retry now", Action(Verb.RETRY, "jira")))
    assert desk.up == {"red:jira": Notice("red:jira", "jira: Sign-in needed", body, buttons)}


def test_never_signed_in_is_no_news() -> None:
    """Who has just added a workload knows that."""

    assert Desk().see(red("jira", Detail.NEVER_SIGNED_IN), user_is_back=True) == []


def test_red_is_repeated_once_a_day_when_the_user_is_back() -> None:
    """Not by the clock alone, and not at every wake."""

    desk = Desk()
    desk.see(red("jira"))
    assert desk.see(red("jira"), wall=T + 2 * DAY) == []
    assert desk.see(red("jira"), wall=T + 1.0, user_is_back=True) == []
    assert desk.see(red("jira"), wall=T + DAY, user_is_back=True) == ["jira: Sign-in needed"]
    assert desk.see(red("jira"), wall=T + DAY + 60.0, user_is_back=True) == []
    assert desk.see(red("jira"), wall=T - 5 * DAY, user_is_back=True) != []  # a clock that was set back silences nobody


@pytest.mark.parametrize(
    "detail", [Detail.CEILING, Detail.KEYRING_LOCKED, Detail.KEYRING_UNAVAILABLE, Detail.NOT_STORED]
)
def test_the_server_is_not_blamed_for_what_it_did_not_say(detail: Detail) -> None:
    """Red by the ceiling, whatever stands in the way now: its login was never refused, and is kept."""

    desk = Desk()
    desk.see(red("jira", detail))
    assert "ended this session" not in desk.up["red:jira"].body
    assert "Retry now" in desk.up["red:jira"].body
    desk.see(green("jira"))
    desk.see(red("jira", Detail.REFUSED))
    assert "ended this session" in desk.up["red:jira"].body


def test_nobody_is_reminded_while_signing_in() -> None:
    """The page is open already."""

    desk = Desk()
    desk.see(red("jira"))
    assert desk.see(red("jira", signing_in=True), wall=T + 2 * DAY, user_is_back=True) == []
    assert list(desk.up) == ["red:jira"]


@pytest.mark.parametrize("after", [(), (green("jira"),), (view("jira", Status.STOPPED, Detail.PAUSED),)])
@pytest.mark.parametrize("muted", [False, True])
def test_red_is_withdrawn_when_solved(after: tuple[WorkloadView, ...], muted: bool) -> None:
    """Signed in, paused or removed; muted or not."""

    desk = Desk()
    desk.see(red("jira"))
    assert desk.see(*after, muted=muted) == []
    assert desk.up == {}


def test_several_reds_are_one_notice() -> None:
    """With *Show* instead of a button for each; when one is left, its own buttons are back."""

    desk = Desk()
    assert desk.see(red("a"), red("b")) == ["2 workloads: Sign-in needed"]
    assert desk.up == {"red": Notice("red", "2 workloads: Sign-in needed", "a, b.", (SHOW,))}
    assert desk.see(green("a"), red("b")) == ["b: Sign-in needed"]
    assert list(desk.up) == ["red:b"]


def test_a_second_red_joins_the_first() -> None:
    """There is always one red notification, and it names all of them."""

    desk = Desk()
    desk.see(red("a"), green("b"))
    assert desk.see(red("a"), red("b")) == ["2 workloads: Sign-in needed"]
    assert list(desk.up) == ["red"]


def test_many_names_are_cut() -> None:
    """Five names and a number."""

    desk = Desk()
    desk.see(*(red(name) for name in "abcdefg"))
    assert desk.up["red"].body == "a, b, c, d, e and 2 more."


def test_muted_shows_nothing_and_forgets_nothing() -> None:
    """What turned red meanwhile is announced when the mute ends; earlier announcements are not repeated."""

    desk = Desk()
    assert desk.see(red("a"), muted=True, user_is_back=True) == []
    assert desk.see(red("a")) == ["a: Sign-in needed"]
    assert desk.see(red("a"), muted=True, wall=T + 3 * DAY, user_is_back=True) == []
    assert list(desk.up) == ["red:a"]
    assert desk.see(red("a"), wall=T + 3 * DAY) == []


def test_a_muted_notice_of_several_goes_when_one_is_solved() -> None:
    """It would name a workload that is well again."""

    desk = Desk()
    desk.see(red("a"), red("b"))
    assert desk.see(red("a"), green("b"), muted=True) == []
    assert desk.up == {}


NAMES = ("a", "b", "c")
STEPS = st.tuples(
    st.tuples(*(st.sampled_from([green(n), amber(n), red(n), red(n, Detail.NEVER_SIGNED_IN)]) for n in NAMES)),
    st.sampled_from(["", "a", "a b c"]),
    st.booleans(),
)


@given(st.lists(STEPS, max_size=12))
def test_every_red_has_exactly_one_live_notice(steps: list[tuple[tuple[WorkloadView, ...], str, bool]]) -> None:
    """In any history: a red workload is named by one notice, a recovered one by none, and nothing is shown twice."""

    desk = Desk()
    for number, (views, refused, user_is_back) in enumerate(steps):
        desk.see(*views, refused=refused, wall=T + number, user_is_back=user_is_back)
        wanted = [v.name for v in views if v.status is Status.UNAUTHENTICATED and v.auth.detail is Detail.REFUSED]
        shown = [key for key in desk.up if key.startswith("red")]
        assert shown == ([] if not wanted else ["red" if len(wanted) > 1 else f"red:{wanted[0]}"])
        if not any(v.status is Status.AUTH_RETRYING for v in views):
            assert not any(key.startswith("amber") for key in desk.up)
        assert desk.see(*views, refused=refused, wall=T + number, user_is_back=user_is_back) == []


def test_a_state_in_which_nothing_happens_stays_equal() -> None:
    """So the engine need not store it again."""

    desk = Desk()
    desk.see(red("a"), amber("b"), refused="b")
    before = desk.state
    desk.see(red("a"), replace(amber("b"), url="x"), refused="b")
    assert desk.state == before


# --- sign-ins that came to nothing -----------------------------------------------------------------------------------


def failed(kind: str) -> WorkloadView:
    shown = red("n")
    return replace(shown, auth=replace(shown.auth, sign_in_error=Problem(kind, "Why.")))


@pytest.mark.parametrize(
    ("kind", "title", "button"),
    [
        ("port_taken", "Couldn't sign in to n", ("Try again", Action(Verb.REAUTHORIZE, "n"))),
        ("different_account", "Use a different account for n?", ("Use this account", Action(Verb.ACCEPT, "n"))),
        ("different_server", "Use a different server for n?", ("Use this server", Action(Verb.ACCEPT, "n"))),
        ("scope_lost", "Use a login with fewer permissions for n?", ("Use this login", Action(Verb.ACCEPT, "n"))),
        ("not_renewable", "Use a login for n that can't be renewed?", ("Use this login", Action(Verb.ACCEPT, "n"))),
        ("nothing_pending", "Couldn't sign in to n", ("Try again", Action(Verb.REAUTHORIZE, "n"))),
    ],
)
def test_a_failed_sign_in_is_announced(kind: str, title: str, button: tuple[str, Action]) -> None:
    """Once, also while muted, as a person asked for it; the next try takes it away."""

    desk = Desk()
    assert [] == desk.see(red("n"), muted=True)
    assert [title] == desk.see(failed(kind), muted=True)
    assert (button,) == desk.up["sign_in:n"].buttons
    assert "Why." == desk.up["sign_in:n"].body
    assert [] == desk.see(failed(kind), muted=True)
    assert [] == desk.see(red("n", signing_in=True), muted=True)

    assert {} == desk.up


def test_the_dashboard_offers_what_the_notification_offers() -> None:
    """The page names the same problems as those that a person may agree to."""

    page = Path(trayapp.__file__).with_name("web").joinpath("trouble.js").read_text(encoding="utf-8")
    named = re.search(r"^const CONSENT = new Set\(\[(.*)\]\);", page, re.MULTILINE)

    assert named is not None
    assert sorted(OVERRULABLE) == sorted(word.strip().strip('"') for word in named[1].split(","))


def test_a_cancelled_sign_in_is_not_announced() -> None:
    """They know."""

    desk = Desk()

    assert [] == desk.see(failed("cancelled"), muted=True)


def test_a_forgotten_notice_is_shown_again_if_it_is_still_true() -> None:
    """Nobody could see it. Notices of other keys are not repeated."""

    desk = Desk()
    desk.see(red("a"), amber("b"), refused="b")
    assert ["red:a", "amber:b"] == sorted(desk.up, reverse=True)
    shown = len(desk.log)
    desk.state = forget(desk.state, {"red:a", "red", "unknown"})
    desk.see(red("a"), amber("b"), refused="b")
    assert shown + 1 == len(desk.log)
    desk.state = forget(desk.state, {"amber:b"})
    desk.see(red("a"), amber("b"), refused="b")
    assert shown + 2 == len(desk.log)
    desk.state = forget(desk.state, {"red:a", "amber:b"})
    desk.see(green("a"), green("b"))
    assert shown + 2 == len(desk.log)


def test_a_forgotten_failure_or_code_is_shown_again() -> None:
    """As long as the sign-in has failed, or the code is valid."""

    problem, code = Problem("denied", "No."), DeviceCode("AB-CD", "https://login.test/device", "", 9.0)
    pages = {"a": BrowserFault.NOT_OPENED, "b": BrowserFault.UNCERTAIN}
    shown = ShownNotices(failed={"a": problem, "b": problem}, codes={"a": code, "b": code}, pages=pages)
    left = forget(shown, {"sign_in:a", "device:b", "page:a"})
    assert ShownNotices(failed={"b": problem}, codes={"a": code}, pages={"b": BrowserFault.UNCERTAIN}) == left


@pytest.mark.parametrize("muted", [False, True])
def test_a_page_that_did_not_open_is_said(muted: bool) -> None:
    """With its address to copy, until the sign-in ends; muted or not, as a person waits for the page."""

    def seen(fault: BrowserFault | None) -> WorkloadView:
        view = green("jira")
        return replace(view, auth=replace(view.auth, signing_in=True, browser_fault=fault))

    desk = Desk()
    assert desk.see(seen(None), muted=muted) == []
    assert desk.see(seen(BrowserFault.UNCERTAIN), muted=muted) == ["Sign in to jira in your browser"]
    assert desk.see(seen(BrowserFault.UNCERTAIN), muted=muted) == []
    assert desk.see(seen(BrowserFault.NOT_OPENED), muted=muted) == ["Couldn't open a browser for jira"]
    assert desk.up["page:jira"].buttons == (("Copy URL", Action(Verb.COPY_SIGN_IN, "jira")),)
    assert desk.see(seen(None), muted=muted) == []
    assert desk.up == {}
