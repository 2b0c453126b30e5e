"""Settings, activity and diagnostics on the dashboard, in real Chromium."""

from __future__ import annotations

import time

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.stage import Stage, workload_view
from tests.web.window import Window
from trayapp.api.controls import Rejected

pytestmark = pytest.mark.real


def changes(stage: Stage) -> list[object]:
    """What settings the app was asked to change."""
    return [call[1] for call in stage.control.calls if call[0] == "change_settings"]


# --- settings --------------------------------------------------------------------------------------------------------


def test_each_setting_explains_itself(window: Window, show: Open) -> None:
    """With a label, what it means, a control of its kind, and the way back to the default where it was changed."""

    show(workload_view("github"))
    window.go("settings")
    port = window.see("#set-port")

    assert ("number", "Port") == (port.get_attribute("type"), port.accessible_name)
    assert "9000" == port.get_attribute("value")
    assert "Is in use." in window.text(".setting.port")
    assert "Use default: Port" == window.see(".setting.port button").accessible_name
    assert "checkbox" == window.see("#set-muted").get_attribute("type")
    assert "/home/ada/config.toml" in window.text("#view-settings .file")
    assert not window.find(".setting.flag button")


def test_a_change_is_saved_at_once(window: Window, show: Open) -> None:
    """One setting at a time, as its kind; and the default is one click away."""

    stage = show(workload_view("github"))
    window.go("settings")
    window.see("#set-muted").click()
    window.until(lambda: changes(stage) == [{"muted": True}], "not asked for")
    window.until(lambda: "Saved" in window.text("#view-settings"), "not said")
    window.see("#set-port").send_keys(Keys.CONTROL, "a")
    window.press("9001", Keys.TAB)
    window.until(lambda: {"port": 9001} in changes(stage), "not asked for")
    window.see("#set-notifications input").click()
    window.until(lambda: any("notifications" in each for each in changes(stage)), "not asked for")  # type: ignore[operator]
    window.see(".setting.port button").click()
    window.until(lambda: {"port": None} in changes(stage), "not asked for")


def test_a_refused_setting_says_why(window: Window, show: Open) -> None:
    """At its field, which keeps what was typed and the focus."""

    stage = show(workload_view("github"))
    window.go("settings")
    field = window.see("#set-quiet_hours")
    stage.control.rejected = Rejected(400, "bad_value", "No.", {"quiet_hours": "Write it like 22:00-07:00."})
    field.send_keys("tonight", Keys.TAB)

    window.until(lambda: "like 22:00-07:00" in window.text("#set-quiet_hours-wrong"), "not said")
    assert "true" == field.get_attribute("aria-invalid")
    assert "tonight" == field.get_attribute("value")
    assert field == window.driver.switch_to.active_element


def test_editing_a_workload(window: Window, show: Open) -> None:
    """All its settings in a dialog, saved together; a refusal keeps the dialog and what was typed."""

    stage = show(workload_view("github"))
    window.go("workload/github")
    window.see("[data-menu=edit]").click()
    field = window.see("#edit-url")
    field.clear()
    field.send_keys("https://new.example/mcp")
    stage.control.rejected = Rejected(400, "bad_url", "No.", {"url": "Nothing answers there."})
    window.see("#edit-dialog .primary").click()
    window.until(lambda: "Nothing answers there." in window.text("#edit-url-wrong"), "not said")
    stage.control.rejected = None
    window.see("#edit-dialog .primary").click()

    window.until(lambda: not window.find("#edit-dialog"), "still open")
    assert "Updated Claude Code." in window.text("#told")
    draft = next(call[2] for call in reversed(stage.control.calls) if call[0] == "edit")
    assert {"url": "https://new.example/mcp"} == draft.keys  # type: ignore[attr-defined]
    assert "r1" == draft.revision  # type: ignore[attr-defined]


def test_renaming(window: Window, show: Open) -> None:
    """The page follows to the new name, and says what became of clients until it's dismissed."""

    stage = show(workload_view("github"), workload_view("notion"))
    window.go("workload/github")
    window.see("[data-menu=rename]").click()
    window.see("#rename-name").send_keys(Keys.CONTROL, "a")
    window.press("Work", Keys.ENTER)

    window.until(lambda: window.driver.current_url.endswith("#workload/work"), "not followed")
    window.until(lambda: window.text("#detail-name") == "work", "not shown")
    assert "Changed work. Updated Claude Code." == window.said()
    assert "Changed work. Updated Claude Code." == window.text("#told p")
    window.see("#told button").click()
    assert not window.find("#told")
    assert any(call[0] == "edit" and call[2].name == "work" for call in stage.control.calls)  # type: ignore[attr-defined]


def test_signing_out_asks_first(window: Window, show: Open) -> None:
    """It says what is lost and what stays."""

    stage = show(workload_view("github"))
    window.go("workload/github")
    window.see("[data-menu=signOut]").click()
    assert "The workload stays in the list." in window.text("#confirm-text")
    window.see("#confirm-yes").click()
    window.until(lambda: ("post", "sign_out", "github") in stage.control.calls, "not asked for")


# --- activity --------------------------------------------------------------------------------------------------------


def test_who_used_what(window: Window, show: Open) -> None:
    """Newest first: client, workload, what for, how it went and how long; live, by workload, and deleted on request."""

    stage = show(workload_view("github"), workload_view("notion"))
    window.go("activity")
    window.until(lambda: "No requests yet." in window.text("#view-activity"), "not said")
    stage.use(*scenes.requests())

    window.until(lambda: len(window.find("#view-activity tbody tr")) == 4, "not shown")
    rows = [each.text for each in window.find("#view-activity tbody tr")]
    assert "claude-code 2.1.0" in rows[0]
    assert "tools/call create_issue" in rows[0]
    assert "OK" in rows[0]
    assert "250 ms" in rows[0]
    assert "HTTP 503 from Amberlight" in rows[1]
    assert "Client left" in rows[2]
    assert "Unknown client" in rows[3]
    Select(window.see("#view-activity select")).select_by_value("notion")
    window.until(lambda: len(window.find("#view-activity tbody tr")) == 1, "not chosen")
    window.js(
        "[...document.querySelectorAll('#view-activity button')].find((each) => each.textContent.startsWith('Clear')).click()"
    )
    window.until(lambda: "No requests yet." in window.text("#view-activity"), "not deleted")


def test_activity_says_how_it_came_and_what_is_missing(window: Window, show: Open) -> None:
    """Through `/mcp` or stdio; and how many requests were too many to be recorded."""

    stage = show(workload_view("github"))
    codex = {"name": "codex", "version": "1"}
    request = scenes.requests()[-1]._replace(info=codex)
    stage.use(*(request._replace(agent=agent) for agent in ("amberlight-stdio", "amberlight-mcp", "node")))
    assert stage._activity is not None
    stage._activity.dropped = 12
    window.go("activity")

    window.until(lambda: len(window.find("#view-activity tbody tr")) == 3, "not shown")
    clients = [each.text for each in window.find("#view-activity tbody td:nth-child(2)")]
    assert ["codex 1", "codex 1 through /mcp", "codex 1 through stdio"] == clients
    assert "12 requests weren't recorded: too many came at the same time." in window.text("#view-activity")


def test_a_workload_names_the_clients_that_use_it(window: Window, show: Open) -> None:
    """Those whose settings have it, and those that have used it."""

    stage = show(workload_view("github"))
    scenes.clients(stage.control.home)
    stage.use(*scenes.requests())
    window.go("workload/github")

    window.until(lambda: "Cursor" in window.text("#detail-clients"), "not connected")
    window.until(lambda: "claude-code\n1 request, just now" in window.text("#detail-used"), "not used")


@pytest.mark.parametrize("width", [320, 360, 700, 800, 1100])
def test_activity_fits_any_width(window: Window, show: Open, width: int) -> None:
    """Nobody scrolls sideways to see how a request went, whatever client and tool are called; narrow, a row is three lines."""

    name = "a-workload-with-a-name-as-long-as-names-may-be-on-a-narrow-phone"[:63]
    stage = show(workload_view("github"), workload_view("notion"), workload_view(name))
    client = {"name": "a-client-of-a-very-long-name-without-a-space-in-it", "version": "1.2.3-beta.4"}
    long = scenes.requests()[-1]._replace(workload=name, info=client, target="mcp__list_" + "x" * 90)
    stage.use(*scenes.requests(), long)
    window.look(width=width)
    window.go("activity")
    window.until(lambda: len(window.find("#view-activity tbody tr")) == 5, "not shown")

    measured = "const e = document.querySelector(arguments[0]); return [e.scrollWidth, e.clientWidth]"
    for place in ("#view-activity .scroll", "html"):
        inner, outer = window.js(measured, place)
        assert inner <= outer, place
    lines = window.js(
        "return new Set([...document.querySelectorAll('tbody tr:nth-child(2) td')].map((e) => e.offsetTop)).size"
    )
    assert (3 if width < 740 else 1) == lines
    table = window.see("#view-activity table")
    assert "table" == table.aria_role
    assert ["row"] * 6 == [each.aria_role for each in window.find("#view-activity tr")]


def test_activity_that_is_off_says_so(window: Window, show: Open) -> None:
    """With the way to the setting."""

    stage = show(workload_view("github"))
    stage.run(stage.forget_activity())
    window.go("activity")
    window.see("#view-activity .notice a").click()
    window.see("#view-settings h1")


# --- diagnostics -----------------------------------------------------------------------------------------------------


def test_checks_and_their_fix(window: Window, show: Open) -> None:
    """What is wrong comes first with what to do; Fix fixes what can be fixed, and checks again."""

    stage = show(workload_view("github"))
    stage.inspection.found = scenes.checks()
    window.go("diagnostics")
    window.until(lambda: "2 checks need attention." in window.text("#view-diagnostics"), "not said")
    checks = [each.text for each in window.find(".check")]
    assert "Problem" in checks[0]
    assert "Choose Fix." in checks[0]
    assert "Unlock it." in checks[1]
    assert "#clients" in str(window.see(".check a").get_attribute("href"))
    assert not any("amberlight " in each for each in checks)
    window.js(
        "[...document.querySelectorAll('#view-diagnostics button')].find((each) => each.textContent === 'Fix').click()"
    )
    window.until(lambda: "1 check needs attention." in window.text("#view-diagnostics"), "not fixed")
    assert not [each for each in window.find("#view-diagnostics button") if each.text == "Fix"]


def test_the_log(window: Window, show: Open) -> None:
    """By level and by words."""

    stage = show(workload_view("github"))
    stage.inspection.entries = scenes.log_entries(time.time())
    window.go("diagnostics")
    window.until(lambda: len(window.find(".log li")) == 3, "not shown")
    window.see("#view-diagnostics [type=search]").send_keys("refused")
    window.until(lambda: len(window.find(".log li")) == 1, "not filtered")
    assert "the server refused the login" in window.text(".log")
    window.see("#view-diagnostics [type=search]").clear()
    Select(window.find("#view-diagnostics select")[0]).select_by_value("error")
    window.until(lambda: "Traceback" in window.text(".log") and len(window.find(".log li")) == 1, "not by level")


def test_the_report(window: Window, show: Open) -> None:
    """It is on the clipboard; where there is none it can be copied by hand."""

    stage = show(workload_view("github"))
    window.allow_clipboard(stage.address)
    window.go("diagnostics")
    window.see("#view-diagnostics button")
    copy = "[...document.querySelectorAll('#view-diagnostics button')].find((each) => each.textContent === 'Copy report').click()"
    window.js(copy)
    window.until(lambda: "It contains no tokens or keys." in window.text("#view-diagnostics"), "not said")
    assert stage.inspection.text == window.js("return navigator.clipboard.readText()")
    window.js("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    window.js(copy)
    window.until(lambda: window.see("#view-diagnostics textarea").get_attribute("value") == stage.inspection.text, "")
