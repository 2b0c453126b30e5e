"""The dialog that adds a workload finds known servers, in real Chromium."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from tests.web.conftest import Open
from tests.web.stage import workload_view
from tests.web.window import Window

pytestmark = pytest.mark.real


def value(window: Window, name: str) -> str:
    return str(window.see(f"#add-dialog [name={name}]").get_attribute("value"))


def test_a_known_server_in_four_keys_and_two_returns(window: Window, show: Open) -> None:
    """Typing and Enter fill in the form, and the focus is where the next Enter adds it and signs in."""

    stage = show(workload_view("one"))
    window.see("#add").click()
    window.see("#add-search")
    window.press("noti", Keys.ENTER)
    window.until(lambda: value(window, "url") == "https://mcp.notion.com/mcp", "not filled in")
    assert "notion" == value(window, "name")
    assert "submit" == window.driver.switch_to.active_element.get_attribute("type")
    window.press(Keys.ENTER)

    window.row("notion")
    assert ("add", "notion", {"url": "https://mcp.notion.com/mcp"}) in stage.control.calls


def test_a_choice_by_mouse(window: Window, show: Open) -> None:
    """The first five that fit are buttons, and how many there are is said; a choice takes the search away."""

    show()
    window.see("#add").click()
    window.see("#add-search").send_keys("cloudflare")
    window.until(lambda: "Showing 5 of" in window.text("#add-count"), "not counted")
    window.see("#add-found button").click()
    assert "https://mcp.cloudflare.com/mcp" == value(window, "url")
    assert not window.find("#add-found button")
    assert "" == window.see("#add-search").get_attribute("value")
    link = window.see("#add-note a")
    assert "https://github.com/cloudflare/mcp" == link.get_attribute("href")
    assert "noreferrer noopener" == link.get_attribute("rel")


def test_a_server_that_needs_a_client_id(window: Window, show: Open) -> None:
    """It is said before anything is added, with the place to create one; its field is open and has the focus."""

    show()
    window.see("#add").click()
    window.see("#add-search")
    window.press("slack")
    window.until(lambda: "needs a client ID" in window.text("#add-found"), "not said")
    window.press(Keys.ENTER)
    window.until(lambda: window.driver.switch_to.active_element.get_attribute("name") == "client_id", "no focus")
    assert "https://api.slack.com/apps" in window.text("#add-note")
    assert "admin" in window.text("#add-note")
    window.see("#add-url").send_keys("x")  # another address: the note is not about it
    assert "" == window.text("#add-note")


def test_nothing_is_found(window: Window, show: Open) -> None:
    """The form below takes any server; Enter in the search adds nothing, and the next time the search is empty."""

    stage = show()
    window.see("#add").click()
    window.see("#add-search")
    window.press("no such thing")
    window.until(lambda: "Not in the catalog" in window.text("#add-count"), "not said")
    window.press(Keys.ENTER)
    window.press(Keys.ESCAPE)  # empties the search, as in every search field
    window.press(Keys.ESCAPE)
    assert not [call for call in stage.control.calls if call[0] == "add"]
    window.until(lambda: not window.find("#add-dialog"), "still open")
    window.see("#add").click()
    assert "" == window.see("#add-search").get_attribute("value")
    assert "" == window.text("#add-count")
