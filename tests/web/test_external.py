"""Workloads of other programs on the dashboard, in real Chromium: their rows, the page of one, Restart and Take over."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.stage import HOUR, Stage, other_view, workload_view
from tests.web.window import Window
from trayapp.api.controls import Moved, Rejected
from trayapp.core.external import external_advice
from trayapp.core.model import Problem
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Detail, Status, WorkloadView

pytestmark = pytest.mark.real

RED = other_view("github", "unauthenticated", "the refresh token was rejected (invalid_grant)")
SCRIPT = "<img src=x onerror=\"document.title='evil'\"><b>bold</b>"


def row_of(window: Window, name: str) -> WebElement:
    return window.see(f"[id='workload-{name}']")


def inside(window: Window, name: str, selector: str) -> list[WebElement]:
    """What is visible of this in a workload's row."""
    return window.find(f"[id='workload-{name}'] {selector}")


def page_of(window: Window, name: str = "toolhive/github") -> WebElement:
    window.go(f"workload/{name}")
    return window.see("#detail")


def asked(stage: Stage, kind: str) -> list[tuple[object, ...]]:
    return [call for call in stage.control.calls if call[0] == kind]


# --- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "label", "shape", "opened"),
    [
        ("running", "Connected", "tick", False),
        ("starting", "Starting", "open", False),
        ("auth_retrying", "Reconnecting", "retry", True),
        ("unauthenticated", "Sign-in needed", "warning", True),
        ("error", "Error", "cross", True),
        ("unhealthy", "Unhealthy", "cross", True),
        ("hibernating", "hibernating", "question", False),
    ],
)
def test_a_row_says_whose_it_is_and_how(
    window: Window, show: Open, word: str, label: str, shape: str, opened: bool
) -> None:
    """Its name there, its owner as a tag, and the state as of ours; in trouble also why, what to do, and the one button."""

    view = other_view("GitHub.v2", word, "why it is so" if opened else "")
    show(view)
    name = view.name

    assert ["GitHub.v2"] == [each.text for each in inside(window, name, "h2 a")]
    assert ["ToolHive"] == [each.text for each in inside(window, name, ".tag")]
    assert [label] == [each.text for each in inside(window, name, ".pill")]
    assert f"#mark-{shape}" == window.js("return arguments[0].querySelector('use').href.baseVal", row_of(window, name))
    assert ["mcp.github.v2.example"] == [each.text for each in inside(window, name, ".host")]
    assert (["why it is so"] if opened else []) == [each.text for each in inside(window, name, ".problem")]
    assert ([external_advice(view)[1]] if opened else []) == [each.text for each in inside(window, name, ".todo")]
    buttons = inside(window, name, ".trouble button")
    assert (["Restart: GitHub.v2 (ToolHive)"] if opened else []) == [each.accessible_name for each in buttons]


@pytest.mark.parametrize(
    ("actions", "button", "items"),
    [
        ((Verb.RESTART, Verb.TAKE_OVER), ["Restart"], ["Details", "Take over…"]),
        ((Verb.TAKE_OVER,), ["Take over…"], ["Details"]),
        ((Verb.RESTART,), ["Restart"], ["Details"]),
        ((), [], ["Details"]),
    ],
)
def test_only_what_its_owner_can_do_is_offered(
    window: Window, show: Open, actions: tuple[Verb, ...], button: list[str], items: list[str]
) -> None:
    """One button in the row and the rest in its menu; nothing that is about a login of ours."""

    show(other_view("github", "unauthenticated", "refused", actions=actions))

    assert button == [each.text for each in inside(window, "toolhive/github", ".trouble button")]
    inside(window, "toolhive/github", ".more")[0].click()
    assert items == [each.text for each in window.find("#menu button")]
    assert not window.find("#retry-all")


def test_amber_has_no_primary_button(window: Window, show: Open) -> None:
    """It may well recover on its own, as ours; red has one."""

    show(RED, other_view("linear", "auth_retrying", "timed out"))

    assert ["Restart"] == [each.text for each in inside(window, RED.name, "button.primary")]
    assert not inside(window, "toolhive/linear", "button.primary")
    assert inside(window, "toolhive/linear", "[data-do=restart]")


def test_ours_and_theirs_are_one_list(window: Window, show: Open) -> None:
    """Worst first, then by name; counted together; a name that both have is told apart wherever it stands alone."""

    stage = show(*scenes.in_trouble(), *scenes.others())

    wanted = "toolhive/Figma.v2 github toolhive/jira toolhive/vercel toolhive/github linear toolhive/stripe atlassian"
    assert [*wanted.split(), "toolhive/grafana", "notion", "sentry", "toolhive/asana"] == window.order()
    assert "4 workloads need attention" == window.text("#summary")
    assert "4 connected · 2 reconnecting, next attempt in 4 min · 1 starting · 1 unknown" == window.text(
        "#more-summary"
    )
    counts = [each.text for each in window.find("#filter [data-group]")]
    assert ["All 12", "Needs attention 4", "Reconnecting 3", "Connected 4", "Paused 2"] == counts

    for view in [*scenes.in_trouble(), *scenes.others()]:
        if view.name != RED.name:
            stage.drop(view.name)
    stage.put(RED)
    window.until(lambda: window.driver.title == "github (ToolHive) needs attention · Amberlight", "no title")
    stage.put(other_view("github", "auth_retrying", "timed out"))
    window.until(lambda: window.text("#summary") == "github (ToolHive) is reconnecting", "not said")
    window.until(lambda: "github (ToolHive): Reconnecting." in window.said(), "not spoken")
    stage.put(other_view("github", "hibernating"))
    window.until(lambda: window.text("#summary") == "The state of github (ToolHive) is unknown", "not said")


def test_stopped_ones_are_away(window: Window, show: Open) -> None:
    """They leave quietly, without a count; a button shows them, and so do the kind Paused and a search."""

    stage = show(*scenes.in_trouble(), other_view("slack"), other_view("miro", "stopped"))
    assert "toolhive/miro" not in window.order()
    assert "All 6" == window.text("[data-group='']")
    stage.put(other_view("slack", "stopping"))
    window.until(lambda: "toolhive/slack" not in window.order(), "still there")
    assert "Show 2 stopped in ToolHive" == window.text("#away")

    window.see("[data-group=rest]").click()
    assert ["toolhive/slack", "toolhive/miro"] == window.order()
    window.see("[data-group='']").click()
    window.see("#find").send_keys("miro")
    window.until(lambda: window.order() == ["toolhive/miro"], "not found")
    window.see("#find").clear()
    window.see("#find").send_keys(" ")
    window.see("#away").click()
    assert ["toolhive/slack", "toolhive/miro"] == window.order()[-2:]
    assert ["Stopping", "Stopped"] == [
        window.text(f"[id='workload-toolhive/{name}'] .pill") for name in ("slack", "miro")
    ]
    assert "All 7" == window.text("[data-group='']")
    assert "Hide 2 stopped in ToolHive" == window.text("#away")
    window.see("#away").click()
    assert "toolhive/miro" not in window.order()
    stage.drop("toolhive/miro")
    stage.put(other_view("slack"))
    window.until(lambda: not window.find("#away"), "the button stays")


def test_owners_are_found(window: Window, show: Open) -> None:
    """By the search field, beside names and addresses."""

    docker = other_view("postgres", owner="Docker")
    show(*scenes.in_trouble(), other_view("grafana"), docker)
    for words, wanted in (("toolhive", ["toolhive/grafana"]), ("DOCKER", ["docker/postgres"]), ("notion", ["notion"])):
        window.see("#find").clear()
        window.see("#find").send_keys(words)
        window.until(lambda: window.order() == wanted, words)  # noqa: B023
    Select(window.see("#sort")).select_by_value("name")
    window.see("#find").clear()
    window.see("#find").send_keys(" ")
    window.until(lambda: len(window.order()) == 7, "not all")
    assert ["linear", "notion", "docker/postgres", "sentry"] == window.order()[-4:]


def test_theirs_alone_are_a_list(window: Window, show: Open) -> None:
    """Somebody who has none of ours yet sees them, and finds set-up, which is about ours alone; once all are gone, it opens."""

    stage = show(RED, other_view("grafana"))
    assert ["toolhive/github", "toolhive/grafana"] == window.order()
    window.see("#set-up").click()
    assert "Choose your servers" == window.text("#setup-body h2")
    window.go("clients")
    names = [each.get_attribute("value") for each in Select(window.see("#connect-what")).options]
    assert ["*", ""] == names
    window.go("activity")
    window.see("#view-activity h1")
    assert [""] == [each.get_attribute("value") for each in Select(window.see("#view-activity select")).options]
    window.go("workloads")
    stage.put(other_view("github", "stopped"), other_view("grafana", "stopped"))
    window.until(lambda: "Choose your servers" in window.text("#setup-body"), "no set-up")


def test_an_unknown_time_is_not_told(window: Window, show: Open) -> None:
    """A program that doesn't say since when: neither the row nor the page invents one."""

    show(other_view("github", "unauthenticated", "refused", ago=0))

    assert not re.search(
        r"\b(for|days|1970|since)\b", row_of(window, "toolhive/github").text.partition("Restart it")[0]
    )
    page_of(window)
    assert "Since" not in window.text("#detail-facts")
    assert not window.find("#detail-trouble [data-ref=facts]")


# --- the page of one -------------------------------------------------------------------------------------------------


def test_the_page_of_one(window: Window, show: Open) -> None:
    """How it is there, where clients reach it, what can be done and what happened; nothing of what only ours have."""

    stage = show(replace(RED, auth=replace(RED.auth, since=time.time() - 3 * HOUR)), workload_view("github"))
    inside(window, RED.name, "h2 a")[0].click()

    window.until(lambda: "Sign-in needed" in window.text("#detail-recent"), "no history")
    text = window.text("#detail")
    for wanted in (
        "github ToolHive",
        "the refresh token was rejected (invalid_grant)",
        "Restart it in ToolHive, or take it over",
        "ToolHive keeps it signed in.",
        "https://mcp.github.example/mcp",
        "unauthenticated",
        "3 h ago",
        "Clients reach it here, through ToolHive.",
        "http://127.0.0.1:21000/mcp",
    ):
        assert wanted in text
    assert "github (ToolHive) · Amberlight" == window.driver.title
    buttons = ["Restart", "Take over…", "1 day", "7 days", "30 days", "Copy"]
    assert buttons == [each.text for each in window.find("#detail button")]
    assert "Restart: github (ToolHive)" == window.see("#detail [data-do=restart]").accessible_name
    assert "Last 24 hours of github (ToolHive)" == window.see("#detail-segs").accessible_name

    stage.put(other_view("github", "hibernating", ago=1))
    window.until(lambda: "hibernating" in window.text("#detail-recent"), "not told")
    assert window.text("#detail .pill") == "hibernating"
    stage.drop("toolhive/github")
    window.until(lambda: window.order() == ["github"], "not on the list")
    page_of(window, "github")
    assert not window.find("#detail-owner")
    assert window.find("#detail [data-menu=remove]")
    assert window.find("#detail-secret")
    assert "ToolHive" not in window.text("#detail")


def test_its_address_is_copied(window: Window, show: Open) -> None:
    """As of ours; where none is known there is no such card."""

    stage = show(other_view("github"))
    window.allow_clipboard(stage.address)
    page_of(window)
    window.see("#detail [data-copy=url]").click()
    window.until(lambda: window.text("#detail-copied") == "Copied", "not copied")
    assert "http://127.0.0.1:21000/mcp" == window.js("return navigator.clipboard.readText()")
    stage.put(other_view("github", client_url=""))
    window.until(lambda: not window.find("#detail-address"), "still there")


def test_a_page_of_nobody(window: Window, show: Open) -> None:
    """A name that no program has, and one that isn't well-formed."""

    show(other_view("github"))
    for name in ("toolhive/other", "toolhive/%E0%A4%A", "toolhive/github/more"):
        window.js("location.hash = arguments[0]", f"#workload/{name}")
        window.until(lambda: "no longer exists" in window.text("#view-workload"), name)
    page_of(window, "toolhive%2Fgithub")
    window.until(lambda: window.text("#detail-name") == "github", "not shown")


# --- restart ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["row", "page"])
def test_restart(window: Window, show: Open, place: str) -> None:
    """Asked once; while it is done that is said, and the buttons rest; then it is green."""

    stage = show(RED)
    if place == "page":
        page_of(window)
    button = window.see("#detail [data-do=restart]" if place == "page" else "#list [data-do=restart]")
    button.click()
    window.until(lambda: asked(stage, "restart_external"), "not asked")
    doing = replace(RED.external, doing="ToolHive is restarting it.") if RED.external else None
    stage.put(replace(RED, external=doing, status_context="ToolHive is restarting it."))

    shown = "#detail" if place == "page" else "#list"
    window.until(lambda: "ToolHive is restarting it." in window.text(shown), "not said")
    window.until(lambda: button.get_attribute("aria-disabled") == "true", "it doesn't rest")
    window.js("arguments[0].click()", button)
    assert [("restart_external", "toolhive/github")] == asked(stage, "restart_external")
    if place == "page":
        window.js("document.querySelector('#detail [data-do=take_over]').click()")
        assert not window.find("#take-over-dialog")
    else:
        inside(window, RED.name, ".more")[0].click()
        assert ["Details"] == [each.text for each in window.find("#menu button")]
        window.press(Keys.ESCAPE)
    stage.put(other_view("github", ago=1))
    window.until(lambda: window.text(f"{shown} .pill") == "Connected", "not green")
    assert "restarting" not in window.text("#detail-trouble" if place == "page" else "#list")


def test_a_restart_that_is_refused_says_why(window: Window, show: Open) -> None:
    """Where the button is, and aloud with whose it is; also from the menu of one that is well, and on its page."""

    stage = show(RED, other_view("grafana"))
    stage.control.restart_answer = Problem("unreachable", "ToolHive isn't running. Start it, then try again.")

    inside(window, RED.name, "[data-do=restart]")[0].click()
    window.until(lambda: "isn't running" in window.text(f"[id='workload-{RED.name}'] .note"), "not said")
    assert "github (ToolHive): ToolHive isn't running. Start it, then try again." == window.said()
    assert inside(window, RED.name, "[data-do=restart]")[0].get_attribute("aria-disabled") is None

    inside(window, "toolhive/grafana", ".more")[0].click()
    window.see("#menu [data-item=restart]").click()
    window.until(lambda: "isn't running" in window.text("[id='workload-toolhive/grafana'] .note"), "not said")

    page_of(window)
    window.see("#detail [data-do=restart]").click()
    window.until(lambda: "isn't running" in window.text("#detail .note"), "not said")


# --- take over -------------------------------------------------------------------------------------------------------

PAGE = "https://as.example/authorize?state=1"
MOVED = Moved(
    "github-2",
    "Took over github from ToolHive as github-2. Updated Cursor and Zed. Sign in to finish.",
    ("Cursor", "Zed"),
    authorization_url=PAGE,
)


def waiting() -> WorkloadView:
    """The workload once it is here."""
    return workload_view("github-2", Status.UNAUTHENTICATED, Detail.NEVER_SIGNED_IN, "", ago=0, signing_in=True)


@pytest.fixture
def taking(window: Window, show: Open) -> Stage:
    """A stage on which it can be taken over, with the dialog open."""
    stage = show(RED, workload_view("github"))
    stage.control.take_over_plan, stage.control.moved = scenes.PLAN, MOVED
    stage.control.moving = lambda: stage.later(0, waiting(), other_view("github", "stopped"))
    page_of(window)
    window.see("#detail [data-do=take_over]").click()
    window.see("#take-over-dialog")
    return stage


def yes(window: Window) -> WebElement:
    return window.see("#take-over-dialog [type=submit]")


def test_what_would_change_is_said_first(window: Window, taking: Stage) -> None:
    """Its name here, its address, each client's entry, and how to undo it; nothing changes before the button is pressed."""

    assert "Take over" == yes(window).text
    text = window.text("#take-over-dialog")
    for wanted in (
        "Take over github from ToolHive?",
        "github-2",
        "https://mcp.github.example/mcp",
        "ToolHive stops its workload github and keeps its settings.",
        "Cursor ~/.cursor/mcp.json (entry github)",
        "Zed ~/.config/zed/settings.json\n",
        "The sign-in page opens in your browser.",
        "Its scopes are those of ToolHive.",
        "choose Give back to ToolHive… on its page, or run:",
        "amberlight take-over --undo github-2",
    ):
        assert wanted in text
    assert "Take over github from ToolHive?" == window.see("#take-over-dialog").accessible_name
    window.press(Keys.ESCAPE)
    assert not window.find("#take-over-dialog")
    assert [("plan_take_over", "toolhive/github", "")] == taking.control.calls


@pytest.mark.parametrize("late", [False, True])
def test_taking_over_leads_to_its_sign_in(window: Window, taking: Stage, late: bool) -> None:
    """To the page of the new workload, which waits for the sign-in, whenever its row comes; what was done stays in sight."""

    if late:
        taking.control.moving = lambda: taking.later(0.5, waiting())
    yes(window).click()

    window.until(lambda: window.driver.current_url.endswith("#workload/github-2"), "not there")
    window.until(lambda: window.find("#detail .signing"), "it doesn't wait")
    assert "Waiting for you to sign in in your browser…" in window.text("#detail")
    assert not window.find("#take-over-dialog")
    assert MOVED.message in window.text("#told")
    assert [("take_over", "toolhive/github", "", True, True)] == asked(taking, "take_over")
    assert not asked(taking, "reauthorize")
    window.see("#detail .signing .fold").click()
    assert PAGE == window.see("#detail .signing [data-ref=page]").get_attribute("href")


def test_what_failed_on_the_way_is_told(window: Window, taking: Stage) -> None:
    """A client's file that couldn't be written, after what was done."""

    taking.control.moved = replace(MOVED, failed=("Zed: its settings can't be read.",), authorization_url=None)
    yes(window).click()
    window.until(lambda: "Zed: its settings can't be read." in window.text("#told"), "not told")


def test_a_refused_take_over_says_why(window: Window, taking: Stage) -> None:
    """In the dialog, which stays open, and the button can be pressed again."""

    text = "ToolHive couldn't stop github. It stays in ToolHive, and nothing was changed."
    taking.control.rejected = scenes.refused(text)
    yes(window).click()
    window.until(lambda: "couldn't stop github" in window.text("#take-over-dialog .wrong"), "not said")
    assert "#workload/toolhive/github" in window.driver.current_url
    taking.control.rejected = None
    yes(window).click()
    window.until(lambda: window.driver.current_url.endswith("#workload/github-2"), "not there")


def test_a_server_that_wants_a_client_of_ones_own(window: Window, taking: Stage) -> None:
    """The dialog has no field for it, and says where there is one."""

    text = "mcp.github.example doesn't register apps automatically. Create a client there and enter its client ID."
    taking.control.rejected = Rejected(409, "client_id_needed", text)
    yes(window).click()
    window.until(
        lambda: f"{text} To do that, choose Add workload…" in window.text("#take-over-dialog .wrong"), "not said"
    )


def test_what_cannot_be_taken_over_says_why(window: Window, show: Open) -> None:
    """Whether the plan says so or cannot be made; there is no button then."""

    stage = show(RED)
    stopped = "ToolHive can't stop github right now. Start ToolHive, then try again."
    stage.control.take_over_plan = replace(scenes.PLAN, problem=stopped)
    silent = "ToolHive isn't responding."
    for text, rejected in ((stopped, None), (silent, scenes.refused(silent))):
        stage.control.rejected = rejected
        inside(window, RED.name, ".more")[0].click()
        window.see("#menu [data-item=take_over]").click()
        window.until(lambda: text in window.text("#take-over-dialog .wrong"), "not said")  # noqa: B023
        assert ["Cancel"] == [each.text for each in window.find("#take-over-dialog button")]
        assert not window.find("#take-over-dialog .bullets")
        window.see("#take-over-dialog [data-close]").click()
        assert not window.find("#take-over-dialog")


def test_one_that_is_here_already_takes_its_place(window: Window, show: Open) -> None:
    """That is said, and so is that no client goes there. A sign-in is only spoken of if it needs one."""

    stage = show(RED, workload_view("github"), workload_view("hub", Status.UNAUTHENTICATED))
    for name, signs_in in (("github", False), ("hub", True)):
        stage.control.take_over_plan = replace(scenes.PLAN, name=name, configured_as=name, clients=(), notes=())
        page_of(window)
        window.see("#detail [data-do=take_over]").click()
        window.until(lambda: f"{name} already uses this address" in window.text("#take-over-dialog"), "not said")  # noqa: B023
        assert "These clients" not in window.text("#take-over-dialog")
        assert ("The sign-in page opens" in window.text("#take-over-dialog")) is signs_in
        window.see("#take-over-dialog [data-close]").click()


def test_a_secret_that_stays_there_comes_before_the_sign_in(window: Window, show: Open) -> None:
    """Then no sign-in page opens yet, and the command that stores it is named."""

    stage = show(RED)
    stage.control.take_over_plan = replace(scenes.PLAN, needs_secret=True)
    window.js("location.hash = '#take-over=toolhive/github'")
    window.until(lambda: "amberlight secret set github-2" in window.text("#take-over-dialog"), "not said")
    assert "The sign-in page opens" not in window.text("#take-over-dialog")


@pytest.mark.parametrize("way", ["hash", "link"])
def test_the_tray_asks_about_one(window: Window, show: Open, way: str) -> None:
    """Its address opens the page of the workload with the question on it, once."""

    stage = show(RED, workload_view("github"))
    stage.control.take_over_plan = scenes.PLAN
    if way == "hash":
        window.js("location.hash = '#take-over=toolhive/github'")
    else:
        window.forget()
        window.open(stage.link().replace("/#", "/?take-over=toolhive/github#"))
    assert "Take over github from ToolHive?" in window.text("#take-over-dialog")
    assert window.driver.current_url.endswith("#workload/toolhive/github")
    yes(window)
    window.driver.refresh()
    window.until(lambda: "keeps it signed in" in window.text("#detail"), "not shown")
    assert not window.find("#take-over-dialog")

    window.js("location.hash = '#take-over=toolhive/gone'")
    window.until(lambda: "no longer exists" in window.text("#view-workload"), "not said")
    assert not window.find("#take-over-dialog")


def test_markup_of_others_is_text(window: Window, show: Open) -> None:
    """In the status word, the explanation, what is being done, the history, and the plan."""

    stage = show(
        other_view("one", SCRIPT, SCRIPT),
        other_view("two", "unauthenticated", SCRIPT),
        other_view("three", "running", doing=SCRIPT),
    )
    stage.control.take_over_plan = replace(
        scenes.PLAN, name=SCRIPT, url=SCRIPT, notes=(SCRIPT,), clients=((SCRIPT, SCRIPT, SCRIPT),)
    )
    for name in ("one", "two", "three"):
        assert "<b>" in row_of(window, f"toolhive/{name}").text
    for name in ("one", "two", "three"):
        page_of(window, f"toolhive/{name}")
        window.until(lambda: "<b>" in window.text("#detail"), "not shown")
    window.js("location.hash = '#take-over=toolhive/two'")
    window.until(lambda: window.text("#take-over-dialog").count("<b>") > 4, "not shown")
    assert not window.js(
        "return document.querySelectorAll('main b:not(.at, .choices b), dialog b, img[src=x], main script').length"
    )
    assert "evil" != window.driver.title
