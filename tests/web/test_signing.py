"""A sign-in on the dashboard, in real Chromium: what the page says while it lasts, and when it ends."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.stage import workload_view
from tests.web.test_actions import heard
from tests.web.window import Window
from trayapp.core.model import BrowserFault
from trayapp.core.snapshot import Detail, Status

pytestmark = pytest.mark.real

WAITING = "Waiting for you to sign in in your browser…"


def told(window: Window, name: str) -> list[str]:
    """What a row says, but for the other ways to sign in, and its times."""
    parts = f"#workload-{name} :is(h2, .pill, .trouble > :is(p, .lines), .signing > p, .signing > div > p, .actions)"
    return [text for each in window.find(parts) for text in each.text.splitlines()]


def test_a_sign_in_without_a_browser(window: Window, show: Open) -> None:
    """If none could be opened, the link to the page is in sight."""

    stage = show(scenes.github())
    window.see("#workload-github [data-do=reauthorize]").click()
    window.see("#workload-github .signing")
    assert not window.find("#workload-github .signing a")
    fault: dict[str, Any] = {"signing_in": True, "browser_fault": BrowserFault.NOT_OPENED}
    stage.put(workload_view("github", Status.UNAUTHENTICATED, Detail.REFUSED, "Finish it.", **fault))

    assert "Open the sign-in page in this browser" == window.text("#workload-github .signing a")
    assert "Couldn't open a browser. Open the sign-in page from here." == told(window, "github")[2]


def test_a_sign_in_from_the_page(window: Window, show: Open) -> None:
    """The row then says that and no more; it links the page, takes a pasted address, and can give it up."""

    stage = show(scenes.github())
    window.see("#workload-github [data-do=reauthorize]").click()
    window.see("#workload-github .signing .fold").click()
    link = window.see("#workload-github .signing a")
    assert stage.control.page == link.get_attribute("href")

    one = ["github", "Sign-in needed", WAITING, "Cancel", "Reopen sign-in page"]
    assert one == told(window, "github")
    stage.put(workload_view("github", Status.UNAUTHENTICATED, Detail.REFUSED, "Finish it.", signing_in=True))
    assert one == told(window, "github")
    window.see("#workload-github .signing input").send_keys("http://127.0.0.1:1/callback?code=canary", Keys.ENTER)
    heard(window, stage, "paste", "github", "http://127.0.0.1:1/callback?code=canary")
    window.until(lambda: "" == window.see("#workload-github .signing input").get_attribute("value"), "not emptied")

    window.see("#workload-github [data-do=cancel]").click()
    heard(window, stage, "cancel_sign_in", "github")
    stage.put(scenes.github())
    window.until(lambda: not window.find("#workload-github .signing"), "it does not end")


@pytest.mark.parametrize("seen", [True, False], ids=["sign-in seen", "only its end seen"])
@pytest.mark.parametrize("where", ["", "workload/github"], ids=["row", "page"])
def test_a_sign_in_that_succeeded_is_over(window: Window, show: Open, *, where: str, seen: bool) -> None:
    """The green workload says nothing of a sign-in under way, even if the first event about it is its end."""

    stage = show(replace(scenes.github(), auth=replace(scenes.github().auth, detail=Detail.NEVER_SIGNED_IN)))
    place = "#workload-github"
    if where:
        window.go(where)
        place = "#detail"
    window.see(f"{place} [data-do=reauthorize]").click()
    window.see(f"{place} .signing")

    if seen:
        stage.put(workload_view("github", Status.UNAUTHENTICATED, Detail.NEVER_SIGNED_IN, "…", signing_in=True))
        window.until(lambda: "Reopen sign-in page" in window.text(place), "not under way")
    stage.put(workload_view("github", ago=0, last_refreshed_at=time.time()))

    window.until(lambda: "Connected" in window.text(place), "not connected")
    window.until(lambda: not window.find(f"{place} .signing"), "still under way")
    assert not window.find(f"{place} [data-do=cancel]")
    window.go("workloads" if where else "workload/github")
    assert not window.find(".signing")


def test_a_login_that_lasts_until_the_app_quits(window: Window, show: Open) -> None:
    """Without a keyring, whoever signs in or adds a workload is told before; with one, nobody is."""

    stage = show(scenes.github())
    window.see("#workload-github [data-do=reauthorize]").click()
    window.see("#workload-github .signing")
    assert not window.find(".run-only")
    stage.lose_keyring()

    assert "so it lasts until Amberlight quits." in window.text("#workload-github .signing .run-only")
    window.see("#add").click()
    assert "Start a keyring" in window.text("#add-dialog .run-only")
