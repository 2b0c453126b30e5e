"""Workloads that other programs keep signed in: how they are drawn, announced, looked at and healed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.core.advice import EXTERNAL_ACTIONS, advice
from trayapp.core.details import error_details, problem_notices
from trayapp.core.external import (
    CONTEXT_MAX,
    HEALS_MAX,
    HEALS_WINDOW,
    LOOK_EVERY,
    LOOK_EVERY_TROUBLED,
    WORD_MAX,
    ExternalWorkload,
    Heals,
    external_view,
    heal,
    is_passing,
    look_after,
    split_name,
)
from trayapp.core.labels import label
from trayapp.core.menu import ROWS_MAX, summary, tray_view
from trayapp.core.notices import AMBER_DELAY, ShownNotices, notices
from trayapp.core.presentation import Action, Colour, Glyph, Notice, Verb
from trayapp.core.public import list_row_json, status_json
from trayapp.core.snapshot import Snapshot, Status, WorkloadView

BOTH = (Verb.RESTART, Verb.TAKE_OVER)
TRANSIENT = "Token refresh failing transiently; retrying every 10m0s: dial tcp: lookup as.example: no such host"
CEILING = "Token refresh failed transiently for over 24h0m0s: unexpected EOF"
HANGING = 'Token retrieval failed: Post "https://as.example/token": context deadline exceeded'
REFUSED = 'Token retrieval failed: oauth2: "invalid_grant" "Token has been revoked"'
REPLACED = "Bearer token authentication failed. Please restart the server with a new token"
WALL = 1_800_000_000.0


def watched(
    word: str, name: str = "github", context: str = "", actions: tuple[Verb, ...] = BOTH, doing: str = ""
) -> WorkloadView:
    client = "http://127.0.0.1:4711/mcp"
    found = ExternalWorkload(name, "https://mcp.example/mcp", client, word, context, WALL)
    return external_view("toolhive", "ToolHive", found, actions, doing)


def snapshot(*views: WorkloadView) -> Snapshot:
    return Snapshot(1, external={view.name: view for view in views})


def local(wall: float) -> str:
    return f"{wall:.0f}"


# --- how it is drawn -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "colour", "glyph", "said"),
    [
        ("running", Colour.GREEN, Glyph.TICK, "Connected"),
        ("auth_retrying", Colour.AMBER, Glyph.RETRY, "Reconnecting"),
        ("unauthenticated", Colour.RED, Glyph.WARNING, "Sign-in needed"),
        ("starting", Colour.BLUE, Glyph.OPEN, "Starting"),
        ("error", Colour.RED, Glyph.CROSS, "Error"),
        ("unhealthy", Colour.RED, Glyph.CROSS, "Unhealthy"),
        ("stopped", Colour.GREY, Glyph.SQUARE, "Stopped"),
        ("hibernating", Colour.GREY, Glyph.QUESTION, "hibernating"),
    ],
)
def test_its_own_word_decides_how_it_is_drawn(word: str, colour: Colour, glyph: Glyph, said: str) -> None:
    view = watched(word)

    assert (view.colour, view.glyph, label(view)) == (colour, glyph, said)
    assert list_row_json(view, port=8765, created_at=0, started_at=0)["status"] == word


def test_a_row_says_whose_it_is() -> None:
    made = list_row_json(watched("auth_retrying", context=TRANSIENT), port=8765, created_at=0, started_at=0)

    assert (made["name"], made["owner"], made["port"]) == ("toolhive/github", "ToolHive", 4711)
    assert made["status_context"] == TRANSIENT
    assert made["external"] == {
        "name": "github",
        "client_url": "http://127.0.0.1:4711/mcp",
        "actions": ["restart", "take_over"],
        "doing": None,
    }
    assert status_json(watched("running"))["owner"] == "ToolHive"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("toolhive/GitHub.v2", ("toolhive", "GitHub.v2")),
        ("github", None),
        ("toolhive/", None),
        ("/github", None),
        ("toolhive/a/b", None),
        ("ToolHive/github", None),
        ("toolhive/a b", None),
        ("../github", None),
    ],
)
def test_a_name_has_an_owner_and_a_name_there(name: str, parts: tuple[str, str] | None) -> None:
    assert split_name(name) == parts


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:999999/mcp", "http://[::1/mcp"])
def test_a_port_that_is_none_is_zero(url: str) -> None:
    view = external_view("toolhive", "ToolHive", ExternalWorkload("n", "https://x.example", url, "running"), ())

    assert list_row_json(view, port=8765, created_at=0, started_at=0)["port"] == 0


def test_what_it_says_is_cleaned() -> None:
    """A server's words reach the status of another program, and from there us."""

    secret = "".join(("gho_", "A1b2C3d4E5f6G7h8I9j0K1l2M3n4"))
    view = watched("unauthenticated", context=f"refused:\n\x1b[31m token={secret} {'x ' * 600}")

    assert secret not in view.status_context
    assert view.status_context.isprintable()
    assert len(view.status_context) <= CONTEXT_MAX


def test_a_word_of_a_later_version_fits_its_row() -> None:
    view = watched("very\n" * 50)

    assert view.external is not None
    assert len(view.external.word) <= WORD_MAX
    assert label(view).isprintable()
    assert label(watched("  ")) == "unknown"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://mcp.example/mcp?project=a", "https://mcp.example/mcp?project=***"),
        ("https://mcp.example/mcp?pwd=pass;sid=a&jwt=b&", "https://mcp.example/mcp?pwd=***;sid=***&jwt=***&"),
        ("https://mcp.example/mcp?flag&=pass#access_token=pass", "https://mcp.example/mcp?flag&=***"),
        ("https://mcp.example/mcp#?a=pass", "https://mcp.example/mcp"),
        ("http://127.0.0.1:8765/k/pass/w/x", "http://127.0.0.1:8765/k/***/w/x"),
        ("http://127.0.0.1:8765/k/pass", "http://127.0.0.1:8765/k/***"),
        ("https://ann:pass@mcp.example/mcp", "https://mcp.example/mcp"),
        ("https://mcp.example/mcp?project=a&api_key=pass", "https://mcp.example/mcp?project=***&api_key=***"),
        ("https://mcp.example/mcp?Token=pass#top", "https://mcp.example/mcp?Token=***"),
        ("https://mcp.example/\n\x1b[31m", "https://mcp.example/  [31m"),
    ],
)
def test_an_address_is_shown_without_its_keys(url: str, shown: str) -> None:
    view = external_view("toolhive", "ToolHive", ExternalWorkload("n", url, url, "running"), ())

    assert view.external is not None
    assert view.url == shown == view.external.client_url.partition("#")[0]


def test_the_fragment_of_a_proxys_address_is_shown() -> None:
    """Legacy clients are told the workload's name by it."""

    url = "http://127.0.0.1:21000/sse#docs"
    view = external_view("toolhive", "ToolHive", ExternalWorkload("docs", url, url, "running"), ())
    assert view.external is not None
    assert ("http://127.0.0.1:21000/sse", url) == (view.url, view.external.client_url)


def test_what_is_being_done_is_said() -> None:
    view = watched("unauthenticated", context=REFUSED, doing="ToolHive is restarting it.")

    assert view.status_context == "ToolHive is restarting it."
    assert advice(view) == ("", "")


def test_advice_offers_only_what_can_be_done() -> None:
    offered = {
        actions: advice(watched("unauthenticated", actions=actions))[0] for actions in (BOTH, BOTH[:1], BOTH[1:])
    }

    assert offered == {BOTH: "restart", BOTH[:1]: "restart", BOTH[1:]: "take_over"}
    assert set(offered.values()) <= set(EXTERNAL_ACTIONS)
    assert advice(watched("unauthenticated", actions=())) == ("", "ToolHive keeps it signed in. Check it there.")
    assert advice(watched("running")) == ("", "")


# --- in the tray -----------------------------------------------------------------------------------------------------


def test_the_worst_of_all_decides_the_icon() -> None:
    shown = tray_view(snapshot(watched("running", "a"), watched("unauthenticated", "b", REFUSED)), local)

    assert (shown.icon.colour, shown.icon.attention) == (Colour.RED, True)
    assert len(shown.icon.segments) == 2
    assert "b (ToolHive): Sign-in needed" in shown.tooltip


def test_its_menu_offers_restart_and_take_over() -> None:
    shown = tray_view(snapshot(watched("unauthenticated", context=REFUSED)), local)
    rows = {item.key: item for item in shown.menu}

    assert rows["top:toolhive/github"].action == Action(Verb.RESTART, "toolhive/github")
    assert rows["workload:toolhive/github"].text == "⚠ github (ToolHive): Sign-in needed"
    submenu = [(item.text, item.action, item.enabled) for item in rows["workload:toolhive/github"].items]
    assert submenu == [
        ("Restart", Action(Verb.RESTART, "toolhive/github"), True),
        ("Take over…", Action(Verb.TAKE_OVER, "toolhive/github"), True),
        ("Copy error details", Action(Verb.COPY_ERROR, "toolhive/github"), True),
    ]


def test_nothing_is_offered_while_something_is_done() -> None:
    shown = tray_view(snapshot(watched("unauthenticated", doing="ToolHive is restarting it.")), local)
    row = next(item for item in shown.menu if item.key.startswith("workload:"))

    assert [item.enabled for item in row.items[:2]] == [False, False]


def test_a_stopped_one_leaves_the_tray() -> None:
    shown = tray_view(snapshot(watched("stopped"), watched("removing", "other")), local)

    assert summary(snapshot(watched("stopped"))) == "No workloads yet"
    assert not [item for item in shown.menu if item.key.startswith("workload:")]
    assert (shown.icon.glyph, shown.icon.attention) == (None, False)


def test_only_ours_are_reconnected_together() -> None:
    shown = tray_view(snapshot(watched("auth_retrying")), local)

    assert not next(item for item in shown.menu if item.key == "retry_all").enabled
    assert next(item for item in shown.menu if item.key == "add").text == "Add your first workload…"


def test_two_hundred_fit() -> None:
    many = [watched("unauthenticated", f"server-{number}", REFUSED) for number in range(200)]
    shown = tray_view(snapshot(*many), local)

    assert len(shown.menu) <= ROWS_MAX
    assert summary(snapshot(*many)) == "200 sign-in needed"


# --- notifications ---------------------------------------------------------------------------------------------------


def told(seen: ShownNotices, shown: Snapshot, at: float) -> tuple[ShownNotices, tuple[Notice, ...], tuple[str, ...]]:
    return notices(seen, shown, frozenset(), at)


def test_red_is_announced_with_both_ways_out() -> None:
    _, (notice,), _ = told(ShownNotices(), snapshot(watched("unauthenticated", context=REFUSED)), WALL)

    assert notice.title == "github (ToolHive): Sign-in needed"
    assert "invalid_grant" not in notice.body  # no text of a server's in a notification
    assert notice.buttons == (
        ("Restart", Action(Verb.RESTART, "toolhive/github")),
        ("Take over…", Action(Verb.TAKE_OVER, "toolhive/github")),
    )


def test_amber_is_announced_once_it_lasts() -> None:
    amber = snapshot(watched("auth_retrying", context=TRANSIENT))
    seen, early, _ = told(ShownNotices(), amber, WALL + AMBER_DELAY - 1)
    seen, late, _ = told(seen, amber, WALL + AMBER_DELAY)
    seen, again, _ = told(seen, amber, WALL + 2 * AMBER_DELAY)
    _, after, withdrawn = told(seen, snapshot(watched("running")), WALL + 3 * AMBER_DELAY)

    assert (early, len(late), again, after) == ((), 1, (), ())
    assert late[0].title == "github (ToolHive) is reconnecting"
    assert withdrawn == (late[0].key,)


def test_a_stop_withdraws_quietly() -> None:
    seen, _, _ = told(ShownNotices(), snapshot(watched("unauthenticated")), WALL)
    for gone in (snapshot(), snapshot(watched("stopped"))):
        _, shown, withdrawn = told(seen, gone, WALL + 1)
        assert (shown, withdrawn) == ((), ("red:toolhive/github",))


def test_many_share_one_notification_with_ours() -> None:
    mine = replace(watched("unauthenticated"), name="github", external=None)
    shown = Snapshot(1, workloads={"github": mine}, external={"toolhive/github": watched("unauthenticated")})
    _, (notice,), _ = told(ShownNotices(), shown, WALL)

    assert notice.title == "2 workloads: Sign-in needed"
    assert notice.body == "github, github (ToolHive)."


def test_show_lists_each_problem() -> None:
    found = problem_notices(snapshot(watched("unauthenticated"), watched("running", "fine"), watched("stopped", "off")))

    assert [notice.key for notice in found] == ["show:toolhive/github"]
    assert error_details(watched("unauthenticated", context=REFUSED)).startswith("github (ToolHive): unauthenticated\n")


def test_a_workload_that_cannot_be_helped_from_here_has_no_buttons() -> None:
    _, (notice,), _ = told(ShownNotices(), snapshot(watched("unauthenticated", actions=())), WALL)

    assert notice.buttons == ()
    assert notice.body == "ToolHive keeps it signed in. Check it there."


# --- looking ---------------------------------------------------------------------------------------------------------


def test_trouble_is_looked_at_more_often() -> None:
    assert look_after([watched("running"), watched("stopped", "b")]) == LOOK_EVERY
    assert look_after([watched("running"), watched("auth_retrying", "b")]) == LOOK_EVERY_TROUBLED
    assert look_after([watched("hibernating")]) == LOOK_EVERY


# --- healing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "context", "passing"),
    [
        ("auth_retrying", TRANSIENT, True),
        ("unauthenticated", CEILING, True),
        ("unauthenticated", HANGING, True),
        ("unauthenticated", 'Token retrieval failed: Post "https://a": x509: unknown authority', True),
        ("unauthenticated", REFUSED, False),
        ("unauthenticated", 'oauth2: "invalid_client"; the connection was fine', False),
        ("unauthenticated", REPLACED, False),
        ("unauthenticated", 'oauth2: "interaction_required" "Connection policy needs a second factor"', False),
        ("unauthenticated", 'oauth2: "invalid_request" "redirect_uri"', False),
        ("unauthenticated", 'cannot fetch token: 400 Response: {"error": "token_revoked", "m": "timeout"}', False),
        ("unauthenticated", 'Response: {\\"error\\":\\"login_required\\"} connection', False),
        ("unauthenticated", 'oauth2: "temporarily_unavailable" "503 Service Unavailable"', True),
        ("unauthenticated", 'Response: {"error":"server_error","m":"timed out"}', True),
        ("unauthenticated", "", False),
        ("unauthenticated", "something of a later version", False),
        ("running", "", False),
        ("stopped", "connection refused", False),
        ("error", "connection refused", False),
    ],
)
def test_only_what_passes_is_healed(word: str, context: str, passing: bool) -> None:
    view = watched(word, context=context)

    assert is_passing(view) is passing
    assert heal([view], Heals(), 0.0)[1] == ([view.name] if passing else [])


def test_healing_has_a_limit() -> None:
    view, memory, healed = watched("auth_retrying"), Heals(), []
    for number in range(2 * HEALS_MAX):
        memory, names = heal([view], memory, float(number))
        healed += names

    assert len(healed) == HEALS_MAX
    assert heal([view], memory, HEALS_WINDOW)[1] == [view.name]  # the first is forgotten


@pytest.mark.parametrize("view", [watched("auth_retrying", actions=()), watched("auth_retrying", doing="Restarting.")])
def test_what_cannot_be_restarted_is_left_alone(view: WorkloadView) -> None:
    assert heal([view], Heals(), 0.0)[1] == []


@given(st.lists(st.floats(0, 20 * HEALS_WINDOW), max_size=40))
def test_no_window_has_more_restarts_than_the_limit(times: list[float]) -> None:
    view, memory, healed = watched("auth_retrying"), Heals(), []
    for at in sorted(times):
        memory, names = heal([view], memory, at)
        healed += [at] * len(names)

    assert len(memory.at.get(view.name, ())) <= HEALS_MAX
    for index in range(len(healed) - HEALS_MAX):
        assert healed[index + HEALS_MAX] - healed[index] >= HEALS_WINDOW
    assert all(a <= b for a, b in pairwise(healed))


def test_status_words_of_ours_are_kept() -> None:
    """Every word of the enum has a label of its own for another program's workload."""

    said = [label(watched(each.value)) for each in Status]
    assert len(set(said)) == len(said)
