"""Set-up in real Chromium: what it offers, in which order, and what it says when something fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.stage import Stage, workload_view
from tests.web.window import Window
from trayapp.api.controls import ClientNeeded, Rejected
from trayapp.core.answered import Answered
from trayapp.core.model import Problem
from trayapp.core.snapshot import Detail, Status, WorkloadView
from trayapp.importers.entries import ImportableEntry
from trayapp.importers.offers import Offer

pytestmark = pytest.mark.real

NOTION = "https://mcp.notion.com/mcp"
LINEAR = "https://mcp.linear.app/mcp"
NOTE = "Its client must allow the redirect http://127.0.0.1:8099/callback."


def offer(name: str, url: str, *places: str) -> Offer:
    return Offer(ImportableEntry(name, {"url": url}, name), places)


def signed_out(name: str) -> WorkloadView:
    return workload_view(name, Status.UNAUTHENTICATED, Detail.NEVER_SIGNED_IN, ago=0)


def step(window: Window, title: str) -> None:
    """Wait for the step of this heading."""
    window.until(lambda: window.text("#setup-body h2") == title, f"no step {title}")


def press(window: Window, label: str) -> None:
    (button,) = [each for each in window.find("#setup-body button") if each.text == label]
    button.click()


def signs_in(stage: Stage, name: str) -> None:
    """The person did, at the server."""
    stage.put(workload_view(name))
    stage.control.answers[name] = Answered(f"{name} answered: 14 tools", 14)


def accessible(window: Window, axe: str) -> None:
    """In light and dark, wide and narrow; no width scrolls sideways."""
    for dark in (False, True):
        for width in (1100, 360):
            window.look(dark=dark, width=width, height=4000)
            assert [] == window.axe(axe), (window.text("#setup-body h2"), dark, width)
            assert window.js("return document.documentElement.scrollWidth") <= width
    window.look()


def entries(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((stage.control.home / ".cursor/mcp.json").read_text())["mcpServers"]
    return found


@pytest.fixture
def begun(window: Window, show: Open) -> Stage:
    """No workload yet; two servers are configured in clients."""
    stage = show()
    scenes.clients(stage.control.home)
    stage.control.page = "https://as.example/authorize"
    stage.control.found = [
        offer("notion", NOTION, "Claude Code", "Cursor"),
        Offer(
            ImportableEntry("linear", {"url": LINEAR, "redirect_port": 8099}, "linear", notes=(NOTE,)), ("ToolHive",)
        ),
    ]
    window.open(stage.link().replace("/#", "/?setup#"))
    window.see("#setup-body .picks li")
    return stage


def test_from_nothing_to_answers_by_keyboard(window: Window, begun: Stage, axe: str) -> None:
    """Found servers are chosen already; sign-ins follow each other; one key connects all clients; each step is accessible."""

    stage = begun
    assert window.driver.current_url.endswith("/#setup")
    step(window, "Choose your servers")
    assert "in Claude Code and Cursor" in window.text("#setup-body .picks")
    assert NOTE in window.text("#setup-body .picks")
    accessible(window, axe)
    window.js("document.querySelectorAll('#setup-body .picks input')[1].focus()")
    window.press(Keys.SPACE)  # not linear
    window.see("#setup-search").send_keys("sentry")
    window.until(lambda: "Sentry" in window.text("#setup-body .found"), "not found")
    window.press(Keys.ENTER)
    assert window.said() == "Chose Sentry."
    window.until(lambda: "Add 2 and sign in" in window.text("#setup-body"), "not counted")
    window.js("document.querySelector('#setup-body .primary').focus()")
    window.press(Keys.ENTER)

    step(window, "Sign in to your servers")
    window.until(lambda: ("reauthorize", "notion", True, False) in stage.control.calls, "not begun")
    first = "#setup-body .picks li:first-child"
    window.until(lambda: "Waiting for you to sign in" in window.text(first), "not said")
    assert not window.find(f"{first} .trouble > :is(.problem, .todo)")  # one sentence about one sign-in
    accessible(window, axe)
    assert ("reauthorize", "sentry", True, False) not in stage.control.calls
    signs_in(stage, "notion")
    window.until(lambda: ("reauthorize", "sentry", True, False) in stage.control.calls, "the next has not begun")
    signs_in(stage, "sentry")

    step(window, "Connect your clients")
    window.see("#setup-body .picks li")
    accessible(window, axe)
    window.js("document.querySelector('#setup-body .primary').focus()")
    window.press(Keys.ENTER)

    step(window, "You're all set")
    accessible(window, axe)
    answers = window.text("#setup-body .answers")
    assert "notion answered: 14 tools" in answers
    assert "sentry answered: 14 tools" in answers
    assert {"notion", "sentry"} <= entries(stage).keys()
    assert "local-key" not in window.js("return document.documentElement.outerHTML")
    press(window, "Open dashboard")
    window.row("notion")


def test_cancelling_stops_the_row_of_sign_ins(window: Window, begun: Stage) -> None:
    """Nothing more opens unasked; each can be begun by its own button, and the step can be skipped."""

    stage = begun
    press(window, "Add 2 and sign in")
    window.until(lambda: ("reauthorize", "notion", True, False) in stage.control.calls, "not begun")
    stage.change("notion", signing_in=True)
    window.see("#setup-body [data-do=cancel]").click()
    window.until(lambda: ("cancel_sign_in", "notion") in stage.control.calls, "not cancelled")
    stage.change("notion", signing_in=False, sign_in_error=Problem("cancelled", "Cancelled."))
    signs_in(stage, "notion")
    window.until(lambda: "Connected" in window.text("#setup-body .picks"), "not signed in")
    assert ("reauthorize", "linear", True, False) not in stage.control.calls
    assert ("add", "linear", {"url": LINEAR, "redirect_port": 8099}) in stage.control.calls
    window.see("#setup-body li:nth-child(2) [data-do=reauthorize]").click()
    window.until(lambda: ("reauthorize", "linear", True, False) in stage.control.calls, "not begun")

    stage.change("linear", sign_in_error=Problem("denied", "The server said no."))
    window.until(lambda: "Couldn't sign in: The server said no." in window.text("#setup-body"), "not said")
    press(window, "Skip this step")
    step(window, "Connect your clients")


def test_a_server_that_cannot_be_added_says_why(window: Window, begun: Stage) -> None:
    """The others are added; one that wants a client of the person's own leads to the form that asks for it."""

    stage = begun
    text = "mcp.notion.com doesn't register apps automatically."
    needed = ClientNeeded("http://127.0.0.1:51234/callback", 51234, "none")
    stage.control.rejected = Rejected(409, "client_id_needed", text, {"client_id": text}, needed)
    window.js("document.querySelectorAll('#setup-body .picks input')[1].click()")
    press(window, "Add and sign in")
    window.until(lambda: text in window.text("#setup-body .picks"), "not said")
    press(window, "Enter client ID…")
    assert needed.redirect_uri == window.see("#add-redirect-uri").get_attribute("value")
    assert NOTION == window.see("#add-url").get_attribute("value")
    stage.control.rejected = None
    window.see("#add-client").send_keys("client-1", Keys.ENTER)
    step(window, "Sign in to your servers")


def test_every_step_can_be_skipped(window: Window, begun: Stage) -> None:
    """And then nothing was done, which the end says."""

    press(window, "Skip this step")
    step(window, "Sign in to your servers")
    assert "No servers yet." in window.text("#setup-body")
    press(window, "Continue")
    step(window, "Connect your clients")
    window.until(lambda: window.find("#setup-body .foot .primary"), "no way on")
    window.see("#setup-body .foot .primary").click()
    step(window, "Nothing is set up yet")
    assert not [call for call in begun.control.calls if call[0] in ("add", "connect", "check")]


@pytest.mark.parametrize(
    ("views", "found", "title"),
    [
        ([workload_view("notion")], [offer("linear", "https://mcp.linear.app/mcp", "Zed")], "Choose your servers"),
        ([workload_view("notion"), signed_out("linear")], [], "Sign in to your servers"),
        ([workload_view("notion")], [], "Connect your clients"),
    ],
)
def test_it_opens_with_what_is_missing(
    window: Window, show: Open, views: list[WorkloadView], found: list[Offer], title: str
) -> None:
    """From the dashboard's own button."""

    stage = show(*views)
    scenes.clients(stage.control.home)
    stage.control.found = found
    window.see("#set-up").click()
    step(window, title)


def test_what_does_not_answer_says_what_to_do(window: Window, show: Open) -> None:
    """With all set up the last step comes first, and a failed check can be repeated."""

    stage = show(workload_view("notion"))
    stage.control.answers["notion"] = Answered("notion didn't answer within 20 seconds.", help="Check again.")
    window.see("#set-up").click()
    step(window, "1 workload needs attention")
    assert "Check again." in window.text("#setup-body .answers")
    stage.control.answers["notion"] = Answered("notion answered: 1 tool", 1)
    press(window, "Check again")
    step(window, "You're all set")


def test_an_address_is_taken_as_it_is_typed(window: Window, show: Open) -> None:
    """Without https:// too; its name comes from the host, with a number if that is taken."""

    stage = show(workload_view("example"))
    window.go("setup")
    window.see("#setup-steps button").click()
    window.see("#setup-search").send_keys("mcp.example.com/mcp")
    window.until(lambda: "mcp.example.com" in window.text("#setup-body .found"), "not offered")
    window.press(Keys.ENTER)
    press(window, "Add and sign in")
    step(window, "Sign in to your servers")
    assert ("add", "example-2", {"url": "https://mcp.example.com/mcp"}) in stage.control.calls


def test_a_restart_of_the_app_opens_no_second_page(window: Window, begun: Stage) -> None:
    """The step is still there, and what was begun is not begun again."""

    stage = begun
    press(window, "Add 2 and sign in")
    step(window, "Sign in to your servers")
    window.until(lambda: ("reauthorize", "notion", True, False) in stage.control.calls, "not begun")
    stage.stop()
    window.see("#gone")
    stage.control.calls.clear()
    stage.start()
    window.until(lambda: not window.find("#gone"), "it does not come back", 20)
    window.until(lambda: "linear" in window.text("#setup-body .picks"), "not as it was")
    signs_in(stage, "notion")
    window.until(lambda: "Connected" in window.text("#setup-body"), "not signed in")
    assert [] == [call for call in stage.control.calls if call[0] == "reauthorize"]
    step(window, "Sign in to your servers")
