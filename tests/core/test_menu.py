"""Tray icon, tooltip and menu, as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from trayapp.core.menu import summary, tray_view
from trayapp.core.model import BrowserFault, Problem, Spec, Workload
from trayapp.core.presentation import Action, Colour, Glyph, IconView, MenuItem, Verb
from trayapp.core.sentences import context, short
from trayapp.core.snapshot import AuthView, Detail, Removal, Snapshot, Status, WorkloadView
from trayapp.core.view import AMBER, BLUE, style_of


def local(wall: float) -> str:
    return f"{int(wall) // 60:02d}:{int(wall) % 60:02d}"


def view(
    name: str, status: Status, detail: Detail, *, signing_in: bool = False, next_at: float | None = None
) -> WorkloadView:
    drawn = style_of(status)
    if status is Status.UNAUTHENTICATED and (signing_in or detail is Detail.NEVER_SIGNED_IN):
        drawn = BLUE
    error = Problem("http", "no") if detail is Detail.RETRYING else None
    unsaved = detail is Detail.NOT_STORED
    auth = AuthView(detail, 0.0, next_attempt_at=next_at, signing_in=signing_in, last_error=error, unsaved=unsaved)
    return WorkloadView(name, "", status, "", drawn.health, drawn.colour, drawn.glyph, auth)


GREEN = view("github", Status.RUNNING, Detail.OK)
RETRYING = view("jira", Status.AUTH_RETRYING, Detail.RETRYING, next_at=14 * 60.0 + 32)
RED = view("notion", Status.UNAUTHENTICATED, Detail.REFUSED)
SOON = replace(view("linear", Status.RUNNING, Detail.RETRYING), colour=AMBER.colour, glyph=AMBER.glyph)
NEVER = view("new", Status.UNAUTHENTICATED, Detail.NEVER_SIGNED_IN)
SIGNING = view("slack", Status.UNAUTHENTICATED, Detail.REFUSED, signing_in=True)
STARTING = view("sentry", Status.STARTING, Detail.STARTING)
BROKEN = view("typo", Status.ERROR, Detail.CONFIG_ERROR)
CHANGED = view("moved", Status.ERROR, Detail.CONFIRM_CHANGE)
REJECTED = view("api", Status.UNHEALTHY, Detail.UPSTREAM_REJECTS)
PAUSED = view("old", Status.STOPPED, Detail.PAUSED)
LEAVING = view("gone", Status.REMOVING, Detail.OK)
ODD = view("odd", Status.UNKNOWN, Detail.OK)


def snap(*views: WorkloadView, **rest: object) -> Snapshot:
    return replace(Snapshot(1, {v.name: v for v in views}), **rest)  # type: ignore[arg-type]


def flat(items: Iterable[MenuItem]) -> list[MenuItem]:
    return [each for item in items for each in (item, *flat(item.items))]


def menu(*views: WorkloadView, **rest: object) -> dict[str, MenuItem]:
    return {item.key: item for item in flat(tray_view(snap(*views, **rest), local).menu)}


# --- summary and short states ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("views", "line"),
    [
        ((), "No workloads yet"),
        ((GREEN, replace(GREEN, name="b"), RETRYING, RED), "1 sign-in needed · 1 reconnecting · 2 connected"),
        ((RED, replace(RED, name="b")), "2 sign-in needed"),
        ((SOON,), "1 reconnecting"),  # as it is drawn, not by its word
        ((NEVER, SIGNING, STARTING), "1 sign-in needed · 1 not signed in · 1 starting"),
        ((BROKEN, REJECTED), "1 access refused · 1 configuration error"),
        ((PAUSED, LEAVING, ODD), "1 paused · 1 being removed · 1 unknown"),
        ((RED, REJECTED, BROKEN, RETRYING, GREEN), "1 sign-in needed · 1 access refused · 1 connected · 2 more"),
    ],
)
def test_summary(views: tuple[WorkloadView, ...], line: str) -> None:
    """One line counts what there is, worst first; what a long one leaves out is counted."""

    assert line == summary(snap(*views))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (GREEN, "Connected"),
        (view("a", Status.RUNNING, Detail.REFRESH_DELAYED), "Connected, refresh delayed"),
        (view("a", Status.RUNNING, Detail.NOT_STORED), "Connected, login not saved yet"),
        (SOON, "Reconnecting"),
        (RETRYING, "Reconnecting, next attempt at 14:32"),
        (
            view("a", Status.AUTH_RETRYING, Detail.SERVER_SAID_WAIT, next_at=61.0),
            "Reconnecting, server asked to wait, next attempt at 01:01",
        ),
        (view("a", Status.AUTH_RETRYING, Detail.OFFLINE, next_at=61.0), "Offline"),
        (RED, "Sign-in needed"),
        (SIGNING, "Sign-in needed, finish in your browser"),
        (NEVER, "Not signed in"),
        (view("a", Status.UNAUTHENTICATED, Detail.CEILING), "Sign-in needed, couldn't refresh"),
        (view("a", Status.UNAUTHENTICATED, Detail.KEYRING_LOCKED), "Sign-in needed, keyring locked"),
        (STARTING, "Starting"),
        (BROKEN, "Configuration error"),
        (CHANGED, "Sign-in needed, configuration changed"),
        (REJECTED, "Access refused"),
        (PAUSED, "Paused"),
        (view("a", Status.STOPPED, Detail.NOT_STORED), "Paused, login not saved yet"),
        (LEAVING, "Being removed"),
        (view("a", Status.STOPPING, Detail.OK), "Pausing"),
        (view("a", Status.POLICY_STOPPED, Detail.OK), "Stopped by policy"),
        (ODD, "Unknown"),
    ],
)
def test_short_state(seen: WorkloadView, words: str) -> None:
    """A few words, with the user's time of day where the next attempt matters."""

    assert words == short(seen, local)


# --- icon and tooltip ------------------------------------------------------------------------------------------------

WORST_FIRST = (RED, BROKEN, REJECTED, RETRYING, SIGNING, STARTING, GREEN, ODD, LEAVING, PAUSED)


@pytest.mark.parametrize("place", range(len(WORST_FIRST)))
def test_the_worst_is_in_the_middle(place: int) -> None:
    """Sign-in, error, unhealthy, retrying, starting, running; what is stopped never wins."""

    icon = tray_view(snap(*WORST_FIRST[place:]), local).icon
    assert (WORST_FIRST[place].glyph, WORST_FIRST[place].colour) == (icon.glyph, icon.colour)


def test_amber_counts_as_retrying_whatever_the_word() -> None:
    """A workload without a token is worse than one that starts, even while it is called running."""

    assert tray_view(snap(SOON, STARTING), local).icon.glyph is Glyph.RETRY


def test_one_segment_per_workload_up_to_six() -> None:
    """Segments stand in the order of the names; above six the worst colour fills the disc."""

    assert tray_view(snap(RETRYING, GREEN), local).icon == IconView(
        Glyph.RETRY, Colour.AMBER, (Colour.GREEN, Colour.AMBER), attention=False
    )
    six = [replace(GREEN, name=str(n)) for n in range(6)]
    assert len(tray_view(snap(*six), local).icon.segments) == 6
    assert tray_view(snap(*six, RED), local).icon == IconView(Glyph.WARNING, Colour.RED, (), attention=True)


def test_icon_of_nothing_and_of_a_broken_configuration() -> None:
    """No workload is the logo, as there is no state; a configuration that cannot be read is a red cross."""

    assert tray_view(snap(), local).icon == IconView(None, Colour.GREY)
    assert tray_view(snap(GREEN, broken="config.toml, line 2"), local).icon == IconView(
        Glyph.CROSS, Colour.RED, attention=True
    )


@pytest.mark.parametrize(
    ("snapshot", "text"),
    [
        (snap(GREEN), "1 connected"),
        (
            snap(GREEN, RETRYING, RED, PAUSED),
            "1 sign-in needed · 1 reconnecting · 1 connected · 1 paused\nnotion: Sign-in needed\n"
            "jira: Reconnecting, next attempt at 14:32",
        ),
        (
            snap(*(replace(RED, name=str(n)) for n in range(7))),
            "7 sign-in needed\n0: Sign-in needed\n1: Sign-in needed\n2: Sign-in needed\n3: Sign-in needed\nand 3 more",
        ),
        (snap(broken="config.toml, line 2"), "Configuration error\nconfig.toml, line 2"),
    ],
)
def test_tooltip(snapshot: Snapshot, text: str) -> None:
    """The summary, and the worst by name, in six lines at most."""

    assert text == tray_view(snapshot, local).tooltip


# --- menu ------------------------------------------------------------------------------------------------------------


def test_the_whole_menu() -> None:
    """From top to bottom, as a person reads it: trouble first."""

    items = tray_view(snap(GREEN, RED, RETRYING), local).menu
    assert [
        "1 sign-in needed · 1 reconnecting · 1 connected",
        "Reauthorize notion…",
        "Open dashboard",
        "",
        "⚠ notion: Sign-in needed",
        "↻ jira: Reconnecting, next attempt at 14:32",
        "✔ github: Connected",
        "",
        "Reconnect all",
        "Add workload…",
        "Mute notifications",
        "",
        "Quit",
    ] == [item.text for item in items]
    assert [True, True, True] == [item.separator for item in items if not item.text]


def test_the_submenu() -> None:
    """Everything that can be asked of one workload."""

    (item,) = (i for i in tray_view(snap(RETRYING), local).menu if i.items)
    assert [
        MenuItem("retry:jira", "Retry now", Action(Verb.RETRY, "jira")),
        MenuItem("reauthorize:jira", "Reauthorize…", Action(Verb.REAUTHORIZE, "jira")),
        MenuItem("connect:jira", "Connect a client…", Action(Verb.CONNECT, "jira")),
        MenuItem("copy_error:jira", "Copy error details", Action(Verb.COPY_ERROR, "jira")),
        MenuItem("pause:jira", "Pause", Action(Verb.PAUSE, "jira")),
        MenuItem("sign_out:jira", "Sign out", Action(Verb.SIGN_OUT, "jira")),
    ] == list(item.items)


@pytest.mark.parametrize(("seen", "first"), [(RED, "Reauthorize…"), (NEVER, "Sign in…"), (GREEN, "Retry now")])
def test_what_helps_comes_first(seen: WorkloadView, first: str) -> None:
    """Where a sign-in is needed, *Retry now* is the second thing to try."""

    (item,) = (i for i in tray_view(snap(seen), local).menu if i.items)
    assert first == item.items[0].text
    assert {"Retry now"} <= {each.text for each in item.items[:2]}


def test_among_the_connected_those_with_a_message_come_first() -> None:
    """They are green, and a person can do something for them."""

    lacking = view("x", Status.RUNNING, Detail.PERMISSION_NEEDED)
    ending = replace(view("y", Status.RUNNING, Detail.OK), auth=AuthView(Detail.OK, 0.0, ends_soon=True))
    items = tray_view(snap(GREEN, ending, lacking), local).menu
    assert ["workload:x", "workload:y", "workload:github"] == [item.key for item in items if item.items]


@pytest.mark.parametrize(
    ("seen", "key", "text", "enabled"),
    [
        (GREEN, "copy_error:github", "Copy error details", False),  # there is none
        (NEVER, "top:new", "Sign in to new…", True),
        (NEVER, "reauthorize:new", "Sign in…", True),
        (NEVER, "sign_out:new", "Sign out", False),
        (SIGNING, "top:slack", "Reopen sign-in page of slack…", True),
        (SIGNING, "reauthorize:slack", "Reopen sign-in page…", True),
        (SIGNING, "cancel_sign_in:slack", "Cancel sign-in", True),
        (CHANGED, "top:moved", "Reauthorize moved…", True),
        (REJECTED, "top:api", "Reauthorize api…", True),
        (BROKEN, "reauthorize:typo", "Reauthorize…", False),  # only the file can fix it
        (BROKEN, "retry:typo", "Retry now", True),  # reads the file again
        (PAUSED, "resume:old", "Resume", True),
        (PAUSED, "retry:old", "Retry now", False),
        (LEAVING, "workload:gone", "■ gone: Being removed", False),
        (ODD, "workload:odd", "? odd: Unknown", True),
        (PAUSED, "workload:old", "■ old: Paused", True),
        (BROKEN, "workload:typo", "✖ typo: Configuration error", True),
    ],
)
def test_items_by_state(seen: WorkloadView, key: str, text: str, enabled: bool) -> None:
    """An item's text fits the state, and it is disabled where it would do nothing."""

    item = menu(seen)[key]
    assert (text, enabled) == (item.text, item.enabled)


@pytest.mark.parametrize(
    ("seen", "key"),
    [
        (GREEN, "top:github"),
        (BROKEN, "top:typo"),
        (PAUSED, "pause:old"),
        (GREEN, "resume:github"),
        (RED, "cancel_sign_in:notion"),
    ],
)
def test_items_that_are_not_there(seen: WorkloadView, key: str) -> None:
    """At the top are only workloads that a sign-in would fix, and nothing is offered twice."""

    assert key not in menu(seen)


def test_no_client_is_connected_to_an_account() -> None:
    """It has no address that a client could use; everything else can be asked of it."""

    items = menu(GREEN).keys() - menu(replace(GREEN, kind="account")).keys()
    assert {f"{Verb.CONNECT}:github"} == items


def test_a_page_that_did_not_open_can_be_copied() -> None:
    """At the top and in the submenu, for whom nothing shows notifications; the state does not claim a sign-in page."""

    view = replace(SIGNING, auth=replace(SIGNING.auth, browser_fault=BrowserFault.NOT_OPENED))
    shown = menu(view)
    assert Action(Verb.COPY_SIGN_IN, "slack") == shown["copy:slack"].action
    assert Action(Verb.COPY_SIGN_IN, "slack") == shown["copy_sign_in:slack"].action
    assert "slack: Sign-in needed, no browser opened" in shown["workload:slack"].text
    assert "copy:slack" not in menu(SIGNING)
    said = context(
        Workload(Spec("w", "https://w.example"), signing_in=True, browser_fault=BrowserFault.NOT_OPENED),
        Status.UNAUTHENTICATED,
        Detail.NEVER_SIGNED_IN,
        False,
    )
    assert "Couldn't open a browser" in said


def test_the_item_at_the_top_signs_in() -> None:
    """One click on a red workload signs in."""

    assert menu(RED)["top:notion"].action == Action(Verb.REAUTHORIZE, "notion")


def test_a_locked_keyring_is_one_click_away() -> None:
    """One item for all workloads that wait for it, none if no workload does."""

    locked = [view(name, Status.AUTH_RETRYING, Detail.KEYRING_LOCKED) for name in ("a", "b")]
    items = tray_view(snap(GREEN, *locked), local).menu
    assert [("Unlock the keyring…", Action(Verb.RETRY_ALL))] == [
        (item.text, item.action) for item in items if item.key == "keyring"
    ]
    assert "keyring" not in menu(GREEN, RETRYING)


@pytest.mark.parametrize("status", [Status.STOPPED, Status.REMOVING])
def test_nobody_is_asked_to_unlock_for_what_would_not_go_on(status: Status) -> None:
    """A retry passes over what is paused or removed, so its keyring is not offered; another's is."""

    still = view("still", status, Detail.KEYRING_LOCKED)
    assert "keyring" not in menu(still)
    assert "keyring" in menu(still, view("a", Status.AUTH_RETRYING, Detail.KEYRING_LOCKED))


def test_warnings_stand_at_the_top() -> None:
    """What is wrong with the app itself is the first thing to read; the dashboard says all of it."""

    items = tray_view(snap(GREEN, broken="config.toml, line 2: no.", warnings=("There is no keyring.",)), local).menu
    assert ["✖ config.toml, line 2: no.", "⚠ There is no keyring.", "1 connected"] == [item.text for item in items[:3]]
    assert [Action(Verb.SHOW)] * 2 == [item.action for item in items[:2]]


def test_many_warnings_are_counted() -> None:
    """Two, and how many more there are."""

    removals = tuple(Removal(f"r{n}", "as.test", revoked=False) for n in range(3))
    items = tray_view(snap(GREEN, warnings=("One.", "Two."), removals=removals), local).menu
    assert ["⚠ One.", "⚠ Two.", "⚠ 3 more warnings…"] == [item.text for item in items[:3]]
    assert Action(Verb.SHOW) == items[2].action
    assert "summary" == items[3].key


def test_two_hundred_workloads_have_a_short_menu() -> None:
    """The eight worst, and the way to the others."""

    reds = [replace(RED, name=f"red{n}") for n in range(5)]
    greens = [replace(GREEN, name=f"green{n:03}") for n in range(195)]
    items = tray_view(snap(*greens, *reds), local).menu
    rows = [item.key for item in items if item.key.startswith("workload:")]
    assert [*(f"workload:red{n}" for n in range(5)), *(f"workload:green00{n}" for n in range(3))] == rows
    assert [f"top:red{n}" for n in range(3)] == [item.key for item in items if item.key.startswith("top:")]
    (others,) = (item for item in items if item.key == "all")
    assert ("All workloads…", Action(Verb.SHOW)) == (others.text, others.action)
    assert "all" not in menu(*greens[:8])


def test_a_sign_in_under_way_has_the_first_place() -> None:
    """A person waits for its page, however many others are red."""

    waiting = replace(NEVER, auth=replace(NEVER.auth, signing_in=True, browser_fault=BrowserFault.NOT_OPENED))
    items = tray_view(snap(*(replace(RED, name=f"a{n}") for n in range(5)), waiting), local).menu
    assert ["top:new", "copy:new", "top:a0"] == [item.key for item in items[1:4]]


def test_the_menu_without_workloads() -> None:
    """It says how to start; a configuration that can't be read is not the same."""

    items = menu()
    assert "No workloads yet" == items["summary"].text
    assert items["add"] == MenuItem("add", "Add your first workload…", Action(Verb.ADD))
    assert "retry_all" not in items
    broken = menu(broken="config.toml, line 2: no.")
    assert "summary" not in broken
    assert "Add workload…" == broken["add"].text


def test_mute_is_checked() -> None:
    """The check mark is the state."""

    assert (False, True) == (menu()["mute"].checked, menu(muted=True)["mute"].checked)


def test_quit_warns_of_a_login_that_would_be_lost() -> None:
    """What is only in memory ends with the app."""

    unsaved = view("jira", Status.RUNNING, Detail.NOT_STORED)
    assert menu(unsaved, replace(unsaved, name="b"))["quit"].text == "Quit (2 logins aren't saved yet)"
    assert menu(unsaved)["quit"].text == "Quit (the login of jira isn't saved yet)"


def test_quit_warns_of_it_whatever_else_is_said() -> None:
    """A changed configuration is the first thing to say; its login would still be lost. One being removed is meant to be."""

    changed = replace(CHANGED, auth=replace(CHANGED.auth, unsaved=True))
    assert menu(changed)["quit"].text == "Quit (the login of moved isn't saved yet)"
    leaving = replace(LEAVING, auth=replace(LEAVING.auth, unsaved=True))
    assert menu(leaving)["quit"].text == "Quit"


def test_keys_are_unique_and_do_not_move() -> None:
    """A click that comes after an update meets the item it was meant for."""

    before, after = menu(*WORST_FIRST), menu(*WORST_FIRST[2:], NEVER)
    assert len(flat(tray_view(snap(*WORST_FIRST), local).menu)) == len(before)
    assert all(before[key].action == after[key].action for key in before.keys() & after.keys())


def test_start_at_login_is_shown_where_it_can_be_chosen() -> None:
    """Checked or not; where there is nothing to choose there is no line."""

    assert "autostart" not in menu()
    items = [menu(autostart=on)["autostart"] for on in (False, True)]
    assert [False, True] == [item.checked for item in items]
    assert {Action(Verb.AUTOSTART)} == {item.action for item in items}
