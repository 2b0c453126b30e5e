"""Connecting clients on the dashboard, in real Chromium, with real clients' files in a home of the test's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.scenes import in_trouble
from tests.web.stage import Stage
from tests.web.window import Window
from trayapp.clients import connecting
from trayapp.core.model import Problem

pytestmark = pytest.mark.real


@pytest.fixture
def stage(show: Open) -> Stage:
    """Five workloads, and clients in every state."""
    stage = show(*in_trouble())
    scenes.clients(stage.control.home)
    return stage


def opened(window: Window, name: str = "") -> None:
    if name:
        window.choose(name, "connect")
    else:
        window.go("clients")
    window.see("#connect-list li")


def row(window: Window, title: str) -> WebElement:
    """The row of this client."""
    found = [each for each in window.find("#connect-list li") if each.find_element("tag name", "h2").text == title]
    assert found, window.text("#connect-list")
    return found[0]


def lines(window: Window, title: str) -> list[str]:
    """What the row says: title, file, state, buttons, and what was done."""
    return row(window, title).text.split("\n")[1:]  # without the monogram


def press(window: Window, title: str, label: str) -> None:
    (button,) = [each for each in row(window, title).find_elements("tag name", "button") if each.text == label]
    assert f"{label}: {title}" == button.accessible_name
    button.click()


def entries(home: Path, name: str = ".cursor/mcp.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / name).read_text())["mcpServers"]
    return found


def test_what_each_client_has(window: Window, stage: Stage) -> None:
    """Of one workload: only installed clients, each with its state and what can be done about it."""

    opened(window, "github")

    assert "github" == window.see("#connect-what").get_attribute("value")
    assert ["Claude Code", "~/.claude.json", "Not connected", "Connect"] == lines(window, "Claude Code")
    assert ["Cursor", "~/.cursor/mcp.json", "Connected", "Disconnect"] == lines(window, "Cursor")
    assert ["Signs in to github separately", "Replace"] == lines(window, "Gemini CLI")[2:]
    assert ["Has another server called github", "Replace"] == lines(window, "Kiro")[2:]
    assert "~/.kiro/settings/mcp.json · a backup is kept" == lines(window, "Kiro")[1]
    assert ["~/.factory/mcp.json", "Uses an old key", "Reconnect", "Disconnect"] == lines(window, "Factory Droid")[1:]
    assert "~/.config/zed/settings.json: it isn't valid JSON" in lines(window, "Zed")[1]
    assert not row(window, "Zed").find_elements("css selector", "button:not([hidden])")
    assert 7 == len(window.find("#connect-list li"))


def test_connect_and_disconnect(window: Window, stage: Stage) -> None:
    """By keyboard: the row says what happened and what to restart, the focus stays on it, and the file is as before."""

    home = stage.control.home
    before = (home / ".factory/mcp.json").read_bytes()
    opened(window, "github")
    window.js("arguments[0].querySelector('[data-client=connect]').focus()", row(window, "Factory Droid"))
    window.press(Keys.ENTER)

    window.until(
        lambda: (
            "Connected github to Factory Droid (~/.factory/mcp.json). Start a new session."
            in lines(window, "Factory Droid")
        ),
        "not said",
    )
    assert ["Connected", "Disconnect"] == lines(window, "Factory Droid")[2:4]
    key = entries(home, ".factory/mcp.json")["github"]["headers"]["Authorization"]
    assert "Bearer local-key-of-github" == key
    assert "Disconnect: Factory Droid" == window.driver.switch_to.active_element.accessible_name
    assert "local-key" not in window.js("return document.documentElement.outerHTML")

    opened_file = home / ".cursor/mcp.json"
    press(window, "Cursor", "Disconnect")
    window.until(lambda: "Disconnected github from Cursor (~/.cursor/mcp.json)." in lines(window, "Cursor"), "not said")
    assert "github" not in opened_file.read_text()
    assert before != (home / ".factory/mcp.json").read_bytes()


def test_an_entry_that_is_not_ours_takes_a_click_of_its_own(window: Window, stage: Stage) -> None:
    """Connecting the rest leaves it alone; Replace replaces it."""

    home = stage.control.home
    opened(window)
    press(window, "Gemini CLI", "Connect")
    window.until(lambda: "to Gemini CLI (~/.gemini/settings.json)." in row(window, "Gemini CLI").text, "not said")
    assert ("connect", "gemini-cli", "atlassian", "linear", "notion", "sentry") == stage.control.calls[-1]
    assert "https://api.githubcopilot.com/mcp/" == entries(home, ".gemini/settings.json")["github"]["httpUrl"]
    assert "Connected: atlassian, linear and 2 more. Signs in to github separately" == lines(window, "Gemini CLI")[2]

    press(window, "Gemini CLI", "Replace")
    window.until(lambda: "All 5 connected" in lines(window, "Gemini CLI"), "not said")
    assert stage.control.calls[-1:] == [("connect", "gemini-cli", "github", "replace")]
    assert entries(home, ".gemini/settings.json")["github"]["httpUrl"].endswith("/w/github")


def test_one_server_with_the_tools_of_all(window: Window, stage: Stage) -> None:
    """The other choice: one entry, beside those of the workloads."""

    opened(window)
    assert ["Connected: github", "Connect the rest", "Disconnect"] == lines(window, "Cursor")[2:]
    Select(window.see("#connect-what")).select_by_value("")
    assert ["Not connected", "Connect"] == lines(window, "Cursor")[2:]
    press(window, "Cursor", "Connect")
    window.until(lambda: "to Cursor" in row(window, "Cursor").text, "not said")
    assert stage.control.calls[-1:] == [("connect", "cursor", "")]
    assert {"github", "amberlight"} == entries(stage.control.home).keys()

    Select(window.see("#connect-what")).select_by_value("*")
    assert "Connected: github. Has the server with all tools" == lines(window, "Cursor")[2]


def test_a_refusal_stands_on_the_row(window: Window, stage: Stage) -> None:
    """What the app answers is shown where the button is, and the button works again."""

    opened(window, "github")
    stage.control.clients_trouble = Problem("client_file", "~/.cursor/mcp.json is read-only.")
    press(window, "Claude Code", "Connect")
    window.until(lambda: "~/.cursor/mcp.json is read-only." in lines(window, "Claude Code"), "not said")
    stage.control.clients_trouble = None
    press(window, "Claude Code", "Connect")
    window.until(lambda: "Connected github to Claude Code" in row(window, "Claude Code").text, "not said")


def test_clients_that_can_not_be_looked_at(window: Window, stage: Stage) -> None:
    """The reason is said, and the settings can still be copied."""

    stage.control.clients_trouble = Problem("hanging", "A client's file can't be reached.")
    window.go("clients")

    window.until(lambda: "can't be reached" in window.text("#connect-state"), "not said")
    window.see("#connect-copy")


@pytest.mark.parametrize("client", ["zed", "codex", "json"])
def test_settings_for_a_client_that_is_not_installed(window: Window, show: Open, client: str) -> None:
    """They are on the clipboard, whole, with where to paste them; the page itself never shows the key."""

    stage = show(scenes.github())
    window.allow_clipboard(stage.address)
    window.choose("github", "connect")
    window.until(lambda: "Copy the settings" in window.text("#connect-state"), "it is not said that there is none")
    Select(window.see("#connect-client")).select_by_value(client)
    assert {"zed": "~/.config/zed/settings.json", "codex": "~/.codex/config.toml. Start a new session", "json": "JSON"}[
        client
    ] in window.text("#connect-where")
    assert "version control" in window.text("#connect-hand .caution")
    window.see("#connect-copy").click()

    window.until(lambda: "Copied" in window.text("#connect-copied"), "not copied")
    assert "local-key-of-github" in window.js("return navigator.clipboard.readText()")
    assert "local-key" not in window.js("return document.documentElement.outerHTML")


def test_settings_without_a_clipboard(window: Window, stage: Stage) -> None:
    """Where the browser gives none, the text can be copied by hand, and is gone with the section. Here of all at once."""

    window.js("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    opened(window)
    window.see("#connect-hand summary").click()
    window.see("#connect-copy").click()

    assert "local-key-of-all" in str(window.see("#connect-text").get_attribute("value"))
    window.go("workloads")
    window.until(lambda: window.js("return document.getElementById('connect-text').value") == "", "it is kept")


@pytest.mark.parametrize(("query", "chosen"), [("github", "github"), ("", "*"), ("nobody", "*")])
def test_opened_from_the_menu(window: Window, stage: Stage, query: str, chosen: str) -> None:
    """A link may name the workload; one that is gone opens the section for all."""

    window.open(stage.link().replace("/#", f"/?connect={query}#"))
    window.until(lambda: chosen == window.see("#connect-what").get_attribute("value"), "not chosen")
    assert window.driver.current_url.endswith(f"/#clients/{query}")
    assert "once" not in window.driver.current_url


def test_a_running_client_may_overwrite_it(window: Window, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's warning is shown with what was done."""

    monkeypatch.setattr(connecting, "runs", lambda programs: True)
    opened(window, "github")
    press(window, "Claude Code", "Connect")

    window.until(lambda: "may overwrite this change" in row(window, "Claude Code").text, "not said")


def test_nothing_is_cut_off_in_a_narrow_window(window: Window, stage: Stage) -> None:
    """The choice of workloads moves below its label."""

    window.look(width=360)
    window.open(stage.link())
    window.go("clients")
    choice = window.see("#connect-what")
    assert window.js("return arguments[0].getBoundingClientRect().right", choice) <= 360 - 8
