"""What the dashboard shows, in real Chromium: access, each workload's texts, and live changes."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from selenium.webdriver.common.action_chains import ActionChains

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.scenes import in_trouble
from tests.web.stage import HOUR, workload_view
from tests.web.window import Window
from trayapp.core.model import DeviceCode
from trayapp.core.snapshot import Detail, Status

pytestmark = pytest.mark.real


def test_a_link_works_once(window: Window, show: Open) -> None:
    """It leaves the address bar, opens the page, and opens nothing when it is used again."""

    stage = show(workload_view("github"))
    link = stage.link()

    window.forget()
    window.open(link)
    window.card("github")
    assert window.driver.current_url == stage.address
    assert link.partition("once=")[2] not in str(
        window.js("return JSON.stringify({...sessionStorage}) + document.body.innerHTML")
    )

    window.forget()
    window.open(link)
    assert "used before" in window.text("#locked")
    assert not window.find(".card")


def test_without_a_link_nothing_is_shown(window: Window, show: Open) -> None:
    """A page without a key says calmly how to get one, whatever it kept; and a new link opens it without a reload."""

    stage = show(workload_view("github"))

    for prepare in ("sessionStorage.clear()", "sessionStorage.setItem('amberlight.key', 'guessed')"):
        window.js(prepare)
        window.open(stage.address)
        assert "amberlight dashboard" in window.text("#locked")
        assert not window.find(".card, #add, #welcome")

    window.js("window.same = true; location.hash = arguments[0]", stage.link().partition("#")[2])
    window.card("github")
    assert not window.find("#locked")
    assert window.js("return window.same")


def test_a_reload_needs_no_new_link(window: Window, show: Open) -> None:
    """The key is kept for as long as the tab."""

    stage = show(workload_view("github"))

    window.open(stage.address)

    window.card("github")


def test_each_workload_says_what_why_and_what_to_do(window: Window, show: Open) -> None:
    """What is wrong, since when, what to do, and when it is tried again, in the words on the card."""

    show(*in_trouble())

    red = window.card("github").text
    assert "Needs you" in red
    assert "api.githubcopilot.com" in red
    assert "The server ended this login." in red
    assert "invalid_grant" in red
    assert "2 h 12 min ago" in red
    assert "Reauthorize opens the sign-in page in your browser" in red
    amber = window.card("linear").text
    assert "Retrying by itself" in amber
    assert "firewall" in amber
    assert "HTTP 403" in amber
    assert "38 min ago" in amber
    assert "in 4:" in amber
    assert "9 failed so far" in amber
    assert "Nothing to do" in amber
    green = window.card("notion").text
    assert "Signed in" in green
    assert "5 h ago" in green
    assert "What to do" not in green


def test_one_button_stands_out_where_one_is_needed(window: Window, show: Open) -> None:
    """A red workload has exactly one primary button; one that heals by itself or is well has none."""

    show(*in_trouble())

    def primary(name: str) -> list[str]:
        return [each.text for each in window.find(f"#workload-{name} button.primary")]

    assert ["Reauthorize"] == primary("github")
    assert [] == primary("linear")
    assert [] == primary("notion")


def test_the_worst_is_first_and_stands_in_title_and_tab(window: Window, show: Open) -> None:
    """Summary, title and icon tell the same; the order is that of the need."""

    show(*in_trouble())

    assert ["github", "linear", "atlassian", "notion", "sentry"] == window.order()
    assert "3 of 5 signed in; github needs you; linear is retrying by itself" == window.text("#summary")
    assert window.driver.title.startswith("github needs you")
    icon = window.js("return document.querySelector('link[rel=icon]').href")
    assert icon.startswith("data:image/svg+xml,")
    assert "%23e45a4c" in icon


def test_every_state_has_words_and_a_shape(window: Window, show: Open) -> None:
    """No detail that the app knows is shown without a word of what is wrong, and shapes differ with the states."""

    show(*scenes.every_state())
    known = window.js("return import('/web/words.js').then((words) => Object.keys(words.WRONG))")

    assert {detail.value for detail in Detail} == set(known)
    cards = {name: window.card(name).text for name in window.order()}
    assert len(cards) == len(scenes.every_state())
    well = ("is-ok", "is-doubtful")
    for name, text in cards.items():
        if name not in (*well, "is-unknown", "is-signing-in"):
            assert "What is wrong" in text or "State" in text, name
        if name not in well:
            assert "What to do" in text, name
    shapes = {window.js("return arguments[0].querySelector('use').href.baseVal", window.card(name)) for name in cards}
    assert {"#mark-tick", "#mark-retry", "#mark-warning", "#mark-cross", "#mark-open", "#mark-square"} <= shapes


def test_a_login_that_lacks_something_says_so(window: Window, show: Open) -> None:
    """Green, with its end or the missing scope; the one button that helps is at hand."""

    show(
        workload_view("year", renewable=False, login_ends_at=time.time() + 100 * 86400),
        workload_view("endless", renewable=False),
        workload_view("soon", renewable=False, login_ends_at=time.time() + 3600, ends_soon=True),
        workload_view(
            "scope",
            Status.RUNNING,
            Detail.PERMISSION_NEEDED,
            "Needs additional permission: write. Reauthorize asks for it; everything else keeps working.",
            missing_scopes=("write",),
            reauthorize_scopes=("read", "write"),
        ),
    )

    cards = {name: window.card(name).text for name in window.order()}
    assert "Can't be renewed; ends on " in cards["year"]
    assert "Reauthorize before then" not in cards["year"]
    assert "Can't be renewed; no known end." in cards["endless"]
    assert "Reauthorize before then to stay signed in." in cards["soon"]
    assert "Needs additional permission: write." in cards["scope"]
    assert "Reauthorize asks for: read, write." in cards["scope"]
    assert ["Reauthorize"] == [each.text for each in window.find("#workload-scope button.primary")]
    assert ["Reauthorize"] == [each.text for each in window.find("#workload-soon button.primary")]
    assert "All 4 signed in" == window.text("#summary")


def test_a_change_is_seen_and_said(window: Window, show: Open) -> None:
    """An event changes its card, its place, the summary and the icon, and is said politely, all without a reload."""

    stage = show(workload_view("alpha"), workload_view("beta"))
    window.js("window.same = document.getElementById('workload-alpha')")

    stage.put(replace(scenes.github(), name="beta"))

    window.until(lambda: window.order() == ["beta", "alpha"], "not moved")
    assert "1 of 2 signed in; beta needs you" == window.text("#summary")
    window.until(lambda: "beta: Needs you." in window.said(), "not said")
    assert window.js("return window.same === document.getElementById('workload-alpha')")

    stage.put(workload_view("beta", ago=0))
    window.until(lambda: window.text("#summary") == "All 2 signed in", "not well again")

    stage.drop("alpha")
    window.until(lambda: window.order() == ["beta"], "not gone")
    stage.drop("beta")
    assert "Add your first workload" in window.text("#welcome")


def test_what_is_paused_says_so_first(window: Window, show: Open) -> None:
    """Also where its login could not be saved yet; the way on is Resume."""

    show(
        workload_view("alpha", Status.STOPPED, Detail.NOT_STORED, "…"),
        workload_view("beta", Status.STOPPED, Detail.PAUSED, "…"),
    )

    assert ["Paused", "Paused"] == [window.text(f"#workload-{name} .badge") for name in ("alpha", "beta")]
    assert window.text("#workload-beta [data-ref=wrong]") == "Paused by you. Programs get no token."
    assert window.text("#workload-alpha [data-ref=wrong]").startswith(
        "Paused by you. Programs get no token. The newest login"
    )
    assert "Resume it" in window.card("alpha").text
    window.see("#workload-alpha [data-do=resume]")


def test_a_card_does_not_run_away(window: Window, show: Open) -> None:
    """One that has the focus keeps its place until the person has left it."""

    stage = show(workload_view("alpha"), replace(scenes.github(), name="beta"))
    window.js("document.querySelector('#workload-beta [data-do=retry]').focus()")

    stage.put(workload_view("beta", ago=0))

    window.until(lambda: "Signed in" in window.card("beta").text, "not changed")
    assert ["beta", "alpha"] == window.order()
    window.js("document.activeElement.blur()")
    window.until(lambda: window.order() == ["alpha", "beta"], "not moved")


def test_the_countdown_counts(window: Window, show: Open) -> None:
    """The next attempt comes nearer by the second; when it is due, that is said."""

    stage = show(scenes.linear())
    first = window.text("#workload-linear .countdown")

    window.until(lambda: window.text("#workload-linear .countdown") != first, "it stands still", 3)
    stage.change("linear", next_attempt_at=time.time() - 1)
    window.until(lambda: "any moment" in window.text("#workload-linear .countdown"), "not due")


def test_the_app_goes_and_comes_back(window: Window, show: Open) -> None:
    """The page says that the app is gone since when, and lives again when it is back, with what changed meanwhile."""

    stage = show(workload_view("alpha"), scenes.github())
    window.js("window.same = true")

    stage.stop()
    assert "Can't reach Amberlight" in window.text("#gone")
    assert "how it was at" in window.text("#gone")
    window.until(lambda: "Can't reach Amberlight" in window.said(), "not said")
    window.see("#workload-github [data-do=retry]").click()
    window.until(lambda: "Can't reach Amberlight" in window.card("github").text, "a click says nothing")

    stage.put(replace(workload_view("github", ago=0)))
    stage.put(workload_view("fresh"))
    stage.drop("alpha")
    stage.start()
    window.until(lambda: sorted(window.order()) == ["fresh", "github"], "not read again", 12)
    assert not window.find("#gone")
    assert "All 2 signed in" == window.text("#summary")
    assert window.js("return window.same")


def test_a_page_that_the_app_does_not_know_any_more_is_locked(window: Window, show: Open) -> None:
    """An app that lost its list of pages gets a page that says so, and shows nothing old."""

    stage = show(scenes.github())
    stage.stop()
    (stage.directory / "pages.json").unlink()

    stage.start()

    assert "does not know this page any more" in window.text("#locked")
    assert not window.find(".card")
    assert "github" not in window.driver.title


def test_the_line_tells_the_day(window: Window, show: Open) -> None:
    """Each part of the last 24 hours can be had by pointer, by arrow keys, and as a list: from when to when, what, why."""

    show(scenes.linear())
    line = window.see("#workload-linear .segs")
    window.until(lambda: line.get_attribute("aria-valuemax") == "5", "not drawn")

    assert "Retrying by itself" in str(line.get_attribute("aria-valuetext"))
    window.js("arguments[0].focus()", line)
    told = []
    for key in (*["\ue012"] * 5, "\ue010", "\ue011"):  # arrow left, End, Home
        window.press(key)
        told.append(str(line.get_attribute("aria-valuetext")))
    assert "Signed in" in told[0]
    assert "no network" in told[1]
    assert "Starting" in told[2]
    assert "The computer was asleep" in told[3]
    assert "8 h" in told[3]
    assert told[4] == told[6]
    assert "to now" in told[5]
    assert "Signed in" in window.text("#tip")
    window.js("arguments[0].blur()", line)
    assert not window.find("#tip")
    ActionChains(window.driver).move_to_element(line).perform()  # its middle: twelve hours ago
    assert "The computer was asleep" in window.text("#tip")

    window.see("#workload-linear .story .fold").click()
    story = window.text("#workload-linear .story")
    assert "signed in 14 h" in story
    assert "asleep or not running 8 h 30 min" in story
    assert "The computer was asleep." in story
    kinds = window.js(
        "return [...document.querySelectorAll('#workload-linear .seg:not([hidden])')].map(e => e.dataset.kind)"
    )
    assert {"green", "gap", "amber", "blue"} == set(kinds)


def test_what_happens_now_is_in_the_line(window: Window, show: Open) -> None:
    """A new segment is drawn and told without asking for the history again."""

    stage = show(workload_view("github", ago=9 * HOUR))
    line = window.see("#workload-github .segs")
    window.until(lambda: "Signed in" in str(line.get_attribute("aria-valuetext")), "not drawn")

    stage.put(replace(scenes.github(), auth=replace(scenes.github().auth, since=time.time())))

    window.until(lambda: "Needed you" in str(line.get_attribute("aria-valuetext")), "not told")


def test_a_sign_in_by_code(window: Window, show: Open) -> None:
    """While a device code waits, the card shows the code and where it is typed."""

    stage = show(scenes.github())
    code = DeviceCode("WDJB-MJHT", "https://example.com/device", "", time.time() + 600)
    stage.put(
        workload_view("github", Status.UNAUTHENTICATED, Detail.REFUSED, "Enter it.", signing_in=True, device=code)
    )

    window.until(lambda: "WDJB-MJHT" in window.card("github").text, "no code")
    assert "example.com/device" in window.card("github").text
    assert "Signing in" in window.card("github").text


def test_what_is_wrong_with_the_app_itself(window: Window, show: Open) -> None:
    """Its warnings stand above the workloads while they hold, and its own health can be asked for."""

    stage = show(workload_view("github"))
    assert not window.find("#app-trouble")

    stage.warn("No safe keyring was found: logins are kept for this run only.")
    assert "No safe keyring" in window.text("#app-trouble")
    window.open(stage.address)
    assert "No safe keyring" in window.text("#app-trouble")
    stage.warn()
    window.until(lambda: not window.find("#app-trouble"), "it stays")

    window.see("#doctor summary").click()
    window.until(lambda: "The keyring is locked." in window.text("#doctor"), "no checks")


def test_the_way_to_the_form(window: Window, show: Open) -> None:
    """The tray's Add workload… leads to the page with its form open, once."""

    stage = show(workload_view("github"))

    window.forget()
    window.open(stage.link().replace("/#", "/?add#"))
    window.see("#add-dialog")
    window.driver.refresh()
    window.card("github")
    assert not window.find("#add-dialog")


def test_nothing_from_outside(window: Window, show: Open) -> None:
    """The policy holds: no complaint in the console, and not one request to anywhere else."""

    stage = show(*in_trouble())
    window.see("#workload-github .story .fold").click()

    asked = window.js("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert asked
    assert all(each.startswith((stage.address, "data:")) for each in asked)
    assert [] == window.errors()
    header = window.js("return fetch('/').then((answer) => answer.headers.get('Content-Security-Policy'))")
    assert "require-trusted-types-for 'script'" in header
    assert "" == window.driver.execute_script("return document.cookie")
