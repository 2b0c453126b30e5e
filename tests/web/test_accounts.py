"""Accounts on the dashboard: added from the catalog without an address, and shown without clients, in real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from selenium.webdriver.common.keys import Keys

from tests.web.conftest import Open
from tests.web.stage import workload_view
from tests.web.window import Window
from trayapp.catalog.lookup import BY_NAME

pytestmark = pytest.mark.real


def test_an_account_is_added_without_an_address(window: Window, show: Open) -> None:
    """The form asks for the client ID, and for no address; its keys are the catalog's. Another choice has an address."""

    stage = show(workload_view("one"))
    window.see("#add").click()
    window.see("#add-search")
    window.press("google mail", Keys.ENTER)
    window.until(lambda: window.driver.switch_to.active_element.get_attribute("name") == "client_id", "no focus")
    assert "console.cloud.google.com" in window.text("#add-note")
    assert not window.find("#add-url")
    window.press("mine")
    window.press(Keys.ENTER)
    window.row("google-mail")
    keys = {"kind": "account", **BY_NAME["google-mail"].keys, "client_id": "mine"}
    assert ("add", "google-mail", keys) in stage.control.calls

    window.see("#add").click()
    window.see("#add-url")
    window.press("notion", Keys.ENTER)
    window.until(lambda: window.find("#add-url"), "no address")


def test_a_secret_is_asked_for_where_the_vendor_gives_one_out(window: Window, show: Open) -> None:
    """Microsoft's clients have none; what is chosen next is asked for one again."""

    def named(name: str) -> Callable[[], bool]:
        return lambda: window.see("#add-name").get_attribute("value") == name

    show(workload_view("one"))
    window.see("#add").click()
    for name, asked in (("microsoft mail", False), ("google mail", True)):
        window.see("#add-search").clear()
        window.see("#add-search").click()
        window.press(name, Keys.ENTER)
        window.until(named(name.replace(" ", "-")), "not chosen")
        assert asked is bool(window.find("#add-secret-field"))


def test_an_account_has_no_clients(window: Window, show: Open) -> None:
    """Its row says what it is, its menu and its page offer nothing to connect, and the clients' page doesn't list it."""

    account = replace(workload_view("mail"), url="", kind="account")
    show(account, workload_view("notes", url="https://mcp.example.com/mcp"))
    assert "Account" in window.row("mail").text
    window.see("#workload-mail .more").click()
    texts = [each.text for each in window.find("#menu button")]
    assert "Details" in texts
    assert "Connect a client…" not in texts
    window.press(Keys.ESCAPE)
    window.driver.execute_script("location.hash = '#workload/mail'")
    window.until(lambda: window.text("#detail-name") == "mail", "not open")
    assert not window.find("#detail-url")
    assert not window.find("#detail-clients")
    assert not [each for each in window.find("#detail button") if each.text.startswith("Connect")]
    window.driver.execute_script("location.hash = '#workload/notes'")
    window.until(lambda: window.text("#detail-name") == "notes", "not open")
    assert window.find("#detail-url")
    window.driver.execute_script("location.hash = '#clients'")
    offered = "return [...document.querySelectorAll('#connect-what option')].map((each) => each.value)"
    window.until(lambda: "notes" in window.js(offered), "not open")
    assert "mail" not in window.js(offered)
