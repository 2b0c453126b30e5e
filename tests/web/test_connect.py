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
from trayapp.core.model import Problem

pytestmark = pytest.mark.real


@pytest.fixture
def stage(show: Open) -> Stage:
    """Five workloads, and clients in every state."""
    stage = show(*in_trouble())
    scenes.clients(stage.control.home)
    return stage


def opened(window: Window, name: str = "") -> None:
    window.see(f"#workload-{name} [data-do=connect]" if name else "#connect-all").click()
    window.see("#connect-list li")


def row(window: Window, title: str) -> WebElement:
    """The row of this client."""
    found = [each for each in window.find("#connect-list li") if each.text.startswith(title)]
    assert found, window.text("#connect-list")
    return found[0]


def lines(window: Window, title: str) -> list[str]:
    """What the row says: title, state, file, buttons, and what was done."""
    return row(window, title).text.split("\n")


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

    assert "Connect clients to github" == window.text("#connect-title")
    assert ["Claude Code", "Not connected", "~/.claude.json", "Connect"] == lines(window, "Claude Code")
    assert ["Cursor", "Connected", "~/.cursor/mcp.json", "Disconnect"] == lines(window, "Cursor")
    assert ["Signs in to github separately", "Replace"] == lines(window, "Gemini CLI")[1::2]
    assert ["Has another server called github", "Replace"] == lines(window, "Kiro")[1::2]
    assert "~/.kiro/settings/mcp.json · a backup is kept" == lines(window, "Kiro")[2]
    assert ["Has an old key", "~/.factory/mcp.json", "Reconnect", "Disconnect"] == lines(window, "Factory Droid")[1:]
    assert "~/.config/zed/settings.json: it isn't valid JSON" in lines(window, "Zed")[1]
    assert not row(window, "Zed").find_elements("css selector", "button:not([hidden])")
    assert 7 == len(window.find("#connect-list li"))
    assert not window.find("#connect-how")


def test_connect_and_disconnect(window: Window, stage: Stage) -> None:
    """By keyboard: the row says what happened and what to restart, the focus stays on it, and the file is as before."""

    home = stage.control.home
    before = (home / ".factory/mcp.json").read_bytes()
    opened(window, "github")
    window.js("arguments[0].querySelector('[data-client=connect]').focus()", row(window, "Factory Droid"))
    window.press(Keys.ENTER)

    window.until(
        lambda: "Factory Droid is connected. Start a new session." in lines(window, "Factory Droid"), "not said"
    )
    assert ["Connected", "Disconnect"] == lines(window, "Factory Droid")[1:5:2]
    key = entries(home, ".factory/mcp.json")["github"]["headers"]["Authorization"]
    assert "Bearer local-key-of-github" == key
    assert "Disconnect: Factory Droid" == window.driver.switch_to.active_element.accessible_name
    assert "local-key" not in window.js("return document.documentElement.outerHTML")

    opened_file = home / ".cursor/mcp.json"
    press(window, "Cursor", "Disconnect")
    window.until(lambda: "Cursor is disconnected." in lines(window, "Cursor"), "not said")
    assert "github" not in opened_file.read_text()
    window.press(Keys.ESCAPE)
    assert "connect" == window.driver.switch_to.active_element.get_attribute("data-do")
    assert before != (home / ".factory/mcp.json").read_bytes()


def test_an_entry_that_is_not_ours_takes_a_click_of_its_own(window: Window, stage: Stage) -> None:
    """Connecting the rest leaves it alone; Replace replaces it."""

    home = stage.control.home
    opened(window)
    press(window, "Gemini CLI", "Connect")
    window.until(lambda: "Gemini CLI is connected. Start a new session." in lines(window, "Gemini CLI"), "not said")
    assert ("connect", "gemini-cli", "atlassian", "linear", "notion", "sentry") == stage.control.calls[-1]
    assert "https://api.githubcopilot.com/mcp/" == entries(home, ".gemini/settings.json")["github"]["httpUrl"]
    assert "Connected: atlassian, linear and 2 more. Signs in to github separately" == lines(window, "Gemini CLI")[1]

    press(window, "Gemini CLI", "Replace")
    window.until(lambda: "All 5 connected" in lines(window, "Gemini CLI"), "not said")
    assert stage.control.calls[-1:] == [("connect", "gemini-cli", "github", "replace")]
    assert entries(home, ".gemini/settings.json")["github"]["httpUrl"].endswith("/w/github")


def test_one_server_with_the_tools_of_all(window: Window, stage: Stage) -> None:
    """The other choice: one entry, beside those of the workloads."""

    opened(window)
    assert ["Cursor", "Connected: github", "~/.cursor/mcp.json", "Connect the rest", "Disconnect"] == lines(
        window, "Cursor"
    )
    window.see("#connect-how [value=all]").click()
    assert ["Cursor", "Not connected", "~/.cursor/mcp.json", "Connect"] == lines(window, "Cursor")
    press(window, "Cursor", "Connect")
    window.until(lambda: "Cursor is connected." in lines(window, "Cursor"), "not said")
    assert stage.control.calls[-1:] == [("connect", "cursor", "")]
    assert {"github", "amberlight"} == entries(stage.control.home).keys()

    window.see("#connect-how [value=each]").click()
    assert "Connected: github. Has the server with all tools" == lines(window, "Cursor")[1]


def test_a_refusal_stands_on_the_row(window: Window, stage: Stage) -> None:
    """What the app answers is shown where the button is, and the button works again."""

    opened(window, "github")
    stage.control.clients_trouble = Problem("client_file", "~/.cursor/mcp.json is read-only.")
    press(window, "Claude Code", "Connect")
    window.until(lambda: "~/.cursor/mcp.json is read-only." in lines(window, "Claude Code"), "not said")
    stage.control.clients_trouble = None
    press(window, "Claude Code", "Connect")
    window.until(lambda: "Claude Code is connected." in row(window, "Claude Code").text, "not said")


def test_clients_that_can_not_be_looked_at(window: Window, stage: Stage) -> None:
    """The reason is said, and the settings can still be copied."""

    stage.control.clients_trouble = Problem("hanging", "A client's file can't be reached.")
    window.see("#connect-all").click()

    window.until(lambda: "can't be reached" in window.text("#connect-state"), "not said")
    window.see("#connect-copy")


@pytest.mark.parametrize("client", ["zed", "codex", "json"])
def test_settings_for_a_client_that_is_not_installed(window: Window, show: Open, client: str) -> None:
    """They are on the clipboard, whole, with where to paste them; the page itself never shows the key."""

    stage = show(scenes.github())
    window.allow_clipboard(stage.address)
    window.see("#workload-github [data-do=connect]").click()
    window.until(lambda: "Copy the settings" in window.text("#connect-state"), "it is not said that there is none")
    Select(window.see("#connect-client")).select_by_value(client)
    assert {"zed": "~/.config/zed/settings.json", "codex": "~/.codex/config.toml. Start a new session", "json": "JSON"}[
        client
    ] in window.text("#connect-where")
    window.see("#connect-copy").click()

    window.until(lambda: "Copied" in window.text("#connect-copied"), "not copied")
    assert "local-key-of-github" in window.js("return navigator.clipboard.readText()")
    assert "local-key" not in window.js("return document.documentElement.outerHTML")


def test_settings_without_a_clipboard(window: Window, stage: Stage) -> None:
    """Where the browser gives none, the text can be copied by hand, and is gone with the dialog. Here of all at once."""

    window.js("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    opened(window)
    window.see("#connect-hand summary").click()
    window.see("#connect-copy").click()

    assert "local-key-of-all" in str(window.see("#connect-text").get_attribute("value"))
    window.press(Keys.ESCAPE)
    window.until(lambda: window.js("return document.getElementById('connect-text').value") == "", "it is kept")


@pytest.mark.parametrize(("query", "title"), [("github", "Connect clients to github"), ("", "Connect clients to all")])
def test_opened_from_the_menu(window: Window, stage: Stage, query: str, title: str) -> None:
    """A link may name the workload; one that is gone opens the page alone."""

    window.open(stage.link().replace("/#", f"/?connect={query}#"))
    assert window.text("#connect-title").startswith(title)
    window.open(stage.link().replace("/#", "/?connect=nobody#"))
    window.see("#workload-github")
    assert not window.find("#connect-dialog")
