"""What the dashboard shows, in real Chromium: access, each workload's texts, and live changes."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

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
    window.row("github")
    assert window.driver.current_url == stage.address
    assert link.partition("once=")[2] not in str(
        window.js("return JSON.stringify({...sessionStorage}) + document.body.innerHTML")
    )

    window.forget()
    window.open(link)
    assert "used before" in window.text("#locked")
    assert not window.find("#list .row")


def test_without_a_link_nothing_is_shown(window: Window, show: Open) -> None:
    """A page without a key says calmly how to get one, whatever it kept; and a new link opens it without a reload."""

    stage = show(workload_view("github"))

    for prepare in ("sessionStorage.clear()", "sessionStorage.setItem('amberlight.key', 'guessed')"):
        window.js(prepare)
        window.open(stage.address)
        assert "amberlight dashboard" in window.text("#locked")
        assert not window.find(".row, #add, #setup-body h2")

    window.js("window.same = true; location.hash = arguments[0]", stage.link().partition("#")[2])
    window.row("github")
    assert not window.find("#locked")
    assert window.js("return window.same")


def test_a_reload_needs_no_new_link(window: Window, show: Open) -> None:
    """The key is kept for as long as the tab."""

    stage = show(workload_view("github"))

    window.open(stage.address)

    window.row("github")


def test_each_workload_says_what_why_and_what_to_do(window: Window, show: Open) -> None:
    """What is wrong, since when, what to do, and when it is tried again, in the words of the row."""

    show(*in_trouble())

    red = window.row("github").text
    assert "Sign-in needed" in red
    assert "api.githubcopilot.com" in red
    assert "The server ended this session." in red
    assert "invalid_grant" in red
    assert "for 2 h 12 min" in red
    assert "The sign-in page opens in your browser" in red
    amber = window.row("linear").text
    assert "Reconnecting" in amber
    assert "firewall" in amber
    assert "(403)" in amber
    assert "for 38 min" in amber
    assert "Next attempt in 4:" in amber
    assert "9 attempts" in amber
    assert "No action needed" in amber


def test_a_healthy_workload_is_one_line(window: Window, show: Open) -> None:
    """48 pixels: name, host, state, the last day, when it was refreshed, and a menu; nothing to read besides."""

    show(*in_trouble())

    row = window.row("notion")
    assert ["notion", "mcp.notion.com", "Connected", "refreshed 31 min ago"] == row.text.replace("N\n", "", 1).split(
        "\n"
    )[:4]
    assert 48 <= row.rect["height"] <= 49
    strip = window.see("#workload-notion .segs")
    window.until(lambda: "connected 1" in str(strip.get_attribute("aria-label")), "not drawn")
    assert not window.find("#workload-notion button:not(.more)")


def test_one_button_stands_out_where_one_is_needed(window: Window, show: Open) -> None:
    """A red workload has exactly one primary button; one that recovers on its own or is well has none."""

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
    assert "1 workload needs attention" == window.text("#summary")
    assert "3 connected · linear reconnecting, next attempt in 4 min" == window.text("#more-summary")
    assert window.driver.title.startswith("github needs attention")
    icon = window.js("return document.querySelector('link[rel=icon]').href")
    assert icon.startswith("data:image/svg+xml,")
    assert "%23e45a4c" in icon


LABELS = (
    "Connected Reconnecting|Sign-in needed|Not signed in|Keyring locked|Keyring unavailable|Offline|Access refused|Configuration error|Paused"
    "|Starting|Being removed|Unknown"
).replace("Connected ", "Connected|")


def test_every_state_has_words_and_a_shape(window: Window, show: Open) -> None:
    """No detail that the app knows is shown without a word of what is wrong; labels are of one set, and shapes differ."""

    show(*scenes.every_state())
    known = window.js("return import('/web/words.js').then((words) => Object.keys(words.PROBLEMS))")

    assert {detail.value for detail in Detail} == set(known)
    rows = {name: window.row(name) for name in window.order()}
    assert len(rows) == len(scenes.every_state())
    quiet = ("is-ok", "is-paused", "is-removing")  # a line says all there is
    for name, row in rows.items():
        assert window.text(f"#workload-{name} .pill") in LABELS.split("|")
        lines = [each.text for each in window.find(f"#workload-{name} :is(.problem, .todo, .signing p)")]
        assert bool(lines) is (name not in quiet) or name == "is-doubtful", (name, row.text)
    shapes = {window.js("return arguments[0].querySelector('use').href.baseVal", row) for row in rows.values()}
    assert {
        f"#mark-{each}" for each in ("tick", "retry", "warning", "cross", "open", "square", "lock", "offline")
    } <= shapes


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

    rows = {name: window.row(name).text for name in window.order()}
    assert "Reauthorize before then" not in rows["year"]
    assert "Reauthorize before then" in rows["soon"]
    assert "Needs additional permission: write." in rows["scope"]
    assert "Reauthorize to grant: read, write." in rows["scope"]
    assert ["Reauthorize"] == [each.text for each in window.find("#workload-scope button.primary")]
    assert ["Reauthorize"] == [each.text for each in window.find("#workload-soon button.primary")]
    assert "All 4 workloads connected" == window.text("#summary")
    for name, sentence in (("year", "Can't be renewed; ends on "), ("endless", "Can't be renewed; no known end.")):
        window.go(f"workload/{name}")
        window.until(lambda: sentence in window.text("#detail-facts"), "not said")  # noqa: B023


def test_the_account_tells_two_workloads_of_one_server_apart(window: Window, show: Open) -> None:
    """On the workload's page, and at the host in the list. Without one there is no row; a long or hostile one stays text."""

    url, script = "https://mcp.notion.com/mcp", "<b onclick=alert(1)>" + "long" * 58 + "</b>"
    stage = show(
        workload_view("home", url=url, account="anna@example.com"),
        workload_view("odd", url=url, account=script),
        workload_view("plain", url=url),
    )

    titles = [each.get_attribute("title") for each in window.find("#list .host")]
    assert [f"{url}\nanna@example.com", f"{url}\n{script}", url] == titles
    for name, text in (("home", "anna@example.com"), ("odd", script), ("plain", None)):
        window.go(f"workload/{name}")
        window.until(lambda: name == window.text("#detail-name"), "not shown")  # noqa: B023
        assert ("Account" in window.text("#detail-facts")) is (text is not None)
        assert text is None or text in window.text("#detail-facts").replace("\n", "")
        assert window.js("return document.documentElement.scrollWidth <= innerWidth")
    assert not window.find("#detail-facts b")
    stage.change("plain", account="work@example.com")
    window.until(lambda: "work@example.com" in window.text("#detail-facts"), "not updated")
    stage.change("plain", account="")
    window.until(lambda: "Account" not in window.text("#detail-facts"), "not gone")


def test_a_change_is_seen_and_said(window: Window, show: Open) -> None:
    """An event changes its row, its place, the heading and the icon, and is said politely, all without a reload."""

    stage = show(workload_view("alpha"), workload_view("beta"))
    window.js("window.same = document.getElementById('workload-alpha')")

    stage.put(replace(scenes.github(), name="beta"))

    window.until(lambda: window.order() == ["beta", "alpha"], "not moved")
    assert ["1 workload needs attention", "1 connected"] == [window.text("#summary"), window.text("#more-summary")]
    window.until(lambda: "beta: Sign-in needed." in window.said(), "not said")
    assert window.js("return window.same === document.getElementById('workload-alpha')")

    stage.put(workload_view("beta", ago=0))
    window.until(lambda: window.text("#summary") == "All 2 workloads connected", "not well again")

    stage.drop("alpha")
    window.until(lambda: window.order() == ["beta"], "not gone")
    stage.drop("beta")
    assert "Choose your servers" == window.text("#setup-body h2")
    assert window.js("return document.querySelector('link[rel=icon]').href").endswith("/web/logo.svg")


def test_what_is_paused_says_so_first(window: Window, show: Open) -> None:
    """Also where its login could not be saved yet; the way on is Resume."""

    show(
        workload_view("alpha", Status.STOPPED, Detail.NOT_STORED, "…"),
        workload_view("beta", Status.STOPPED, Detail.PAUSED, "…"),
    )

    assert ["Paused", "Paused"] == [window.text(f"#workload-{name} .pill") for name in ("alpha", "beta")]
    assert "All 2 workloads paused" == window.text("#summary")
    assert window.text("#workload-alpha .problem").startswith("Paused. Clients get no token. The newest login")
    assert "Resume it" in window.row("alpha").text
    window.see("#workload-alpha [data-do=resume]")
    window.see("#workload-beta .more").click()
    assert "Resume" in window.text("#menu")


def test_a_row_does_not_run_away(window: Window, show: Open) -> None:
    """One that has the focus keeps its place until the person has left it."""

    stage = show(workload_view("alpha"), replace(scenes.github(), name="beta"))
    window.js("document.querySelector('#workload-beta [data-do=retry]').focus()")

    stage.put(workload_view("beta", ago=0))

    window.until(lambda: "Connected" in window.row("beta").text, "not changed")
    assert ["beta", "alpha"] == window.order()
    window.js("document.activeElement.blur()")
    window.until(lambda: window.order() == ["alpha", "beta"], "not moved")


def test_the_countdown_counts(window: Window, show: Open) -> None:
    """The next attempt comes nearer by the second; when it is due, that is said."""

    stage = show(scenes.linear())
    first = window.text("#workload-linear .next")

    window.until(lambda: window.text("#workload-linear .next") != first, "it stands still", 3)
    stage.change("linear", next_attempt_at=time.time() - 1)
    window.until(lambda: "attempt now" in window.text("#workload-linear .next"), "not due")


def test_the_app_goes_and_comes_back(window: Window, show: Open) -> None:
    """The page says that the app is gone since when, and lives again when it is back, with what changed meanwhile."""

    stage = show(workload_view("alpha"), scenes.github())
    window.js("window.same = true")

    stage.stop()
    window.until(lambda: window.text("#summary") == "Can't reach Amberlight. Reconnecting…", "not said")
    assert "Last seen at" in window.text("#more-summary")
    assert "amberlight run" in window.text("#more-summary")
    assert "connected" not in window.text("#more-summary")
    window.until(lambda: "Can't reach Amberlight" in window.said(), "not said")
    live = window.find("#workload-github [data-do]") + window.find("#retry-all, #add")
    assert live
    assert not [each for each in live if each.is_enabled()]
    window.see("#workload-alpha .more").click()
    assert ["Details"] == [each.text for each in window.find("#menu button") if each.is_enabled()]
    window.press("\ue00c")
    window.go("clients")
    assert "Can't reach Amberlight. Reconnecting…" in window.text("#gone")
    window.go("workloads")

    stage.put(replace(workload_view("github", ago=0)))
    stage.put(workload_view("fresh"))
    stage.drop("alpha")
    stage.start()
    window.until(lambda: sorted(window.order()) == ["fresh", "github"], "not read again", 12)
    assert not window.find("#gone")
    assert "All 2 workloads connected" == window.text("#summary")
    assert window.see("#add").is_enabled()
    assert window.js("return window.same")


def test_a_page_that_the_app_does_not_know_any_more_is_locked(window: Window, show: Open) -> None:
    """An app that lost its list of pages gets a page that says so, and shows nothing old."""

    stage = show(scenes.github())
    stage.stop()
    (stage.directory / "pages.json").unlink()

    stage.start()

    assert "no longer knows this page" in window.text("#locked")
    assert not window.find("#list .row")
    assert "github" not in window.driver.title


def test_the_line_tells_the_day(window: Window, show: Open) -> None:
    """Each part of the last 24 hours can be had by pointer, by arrow keys, and as a list: from when to when, what, why."""

    show(scenes.linear())
    window.go("workload/linear")
    line = window.see("#detail-segs")
    window.until(lambda: line.get_attribute("aria-valuemax") == "5", "not drawn")

    assert "Reconnecting" in str(line.get_attribute("aria-valuetext"))
    window.js("arguments[0].focus()", line)
    told = []
    for key in (*["\ue012"] * 5, "\ue010", "\ue011"):  # arrow left, End, Home
        window.press(key)
        told.append(str(line.get_attribute("aria-valuetext")))
    assert "Connected" in told[0]
    assert "No network" in told[1]
    assert "Starting" in told[2]
    assert "The computer was asleep" in told[3]
    assert "8 h" in told[3]
    assert told[4] == told[6]
    assert "to now" in told[5]
    assert "Connected" in window.text("#tip")
    window.js("arguments[0].blur()", line)
    assert not window.find("#tip")
    ActionChains(window.driver).move_to_element(line).perform()  # its middle: twelve hours ago
    assert "The computer was asleep" in window.text("#tip")

    assert "connected 14 h" in window.text("#detail-outline")
    assert "asleep or not running 8 h 30 min" in window.text("#detail-outline")
    assert "The computer was asleep." in window.text("#detail-recent")
    kinds = window.js(
        "return [...document.querySelectorAll('#detail-segs .seg:not([hidden])')].map(e => e.dataset.kind)"
    )
    assert {"green", "gap", "amber", "blue"} == set(kinds)


@pytest.mark.parametrize("width", [320, 360, 700, 1100])
def test_times_below_the_line_do_not_overlap(window: Window, show: Open, width: int) -> None:
    """At no width and for no period."""

    show(scenes.linear())
    window.look(width=width)
    window.go("workload/linear")
    for days, said, least in ((1, "Last 24 hours", 2), (7, "Last 7 days", 3), (30, "Last 30 days", 3)):
        window.see(f"[data-days='{days}']").click()
        window.until(lambda: said in window.text("#detail-outline"), "not drawn")  # noqa: B023
        boxes = window.js(
            "return [...document.querySelectorAll('#detail-axis span')].map((e) => e.getBoundingClientRect().toJSON())"
        )
        assert len(boxes) >= least
        assert all(a["right"] < b["left"] for a, b in pairwise(boxes)), (days, boxes)


def test_what_happens_now_is_in_the_line(window: Window, show: Open) -> None:
    """A new segment is drawn and told without asking for the history again, in the row and on the page."""

    stage = show(workload_view("github", ago=9 * HOUR), workload_view("linear", ago=9 * HOUR))
    line = window.see("#workload-github .segs")
    window.until(lambda: "connected" in str(line.get_attribute("aria-label")), "not drawn")
    ended = replace(scenes.github(), auth=replace(scenes.github().auth, since=time.time()))
    stage.put(ended)
    window.until(lambda: "sign-in needed" in str(line.get_attribute("aria-label")), "not told")

    window.go("workload/linear")
    window.until(lambda: "Connected" in window.text("#detail-recent"), "not drawn")
    stage.put(replace(ended, name="linear"))
    window.until(lambda: "Sign-in needed" in window.text("#detail-recent"), "not told")


def test_a_sign_in_by_code(window: Window, show: Open) -> None:
    """While a device code waits, the row shows the code and where it is typed."""

    stage = show(scenes.github())
    code = DeviceCode("WDJB-MJHT", "https://example.com/device", "", time.time() + 600)
    stage.put(
        workload_view("github", Status.UNAUTHENTICATED, Detail.REFUSED, "Enter it.", signing_in=True, device=code)
    )

    window.until(lambda: "WDJB-MJHT" in window.row("github").text, "no code")
    assert "example.com/device" in window.row("github").text
    assert "Sign-in needed" in window.row("github").text


def test_what_is_wrong_with_the_app_itself(window: Window, show: Open) -> None:
    """Its warnings stand above every section while they hold."""

    stage = show(workload_view("github"))
    assert not window.find("#app-trouble")

    stage.warn("No safe keyring was found: logins are kept for this run only.")
    assert "No safe keyring" in window.text("#app-trouble")
    window.open(stage.address)
    assert "No safe keyring" in window.text("#app-trouble")
    stage.warn()
    window.until(lambda: not window.find("#app-trouble"), "it stays")


def test_the_way_to_the_form(window: Window, show: Open) -> None:
    """The tray's Add workload… leads to the page with its form open, once."""

    stage = show(workload_view("github"))

    window.forget()
    window.open(stage.link().replace("/#", "/?add#"))
    window.see("#add-dialog")
    window.driver.refresh()
    window.row("github")
    assert not window.find("#add-dialog")


def test_nothing_from_outside(window: Window, show: Open) -> None:
    """The policy holds: no complaint in the console, and not one request to anywhere else."""

    stage = show(*in_trouble())
    for section in ("workload/github", "clients", "activity", "settings", "diagnostics", "workloads"):
        window.go(section)

    asked = window.js("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert asked
    assert all(each.startswith((stage.address, "data:")) for each in asked)
    assert [] == window.errors()
    header = window.js("return fetch('/').then((answer) => answer.headers.get('Content-Security-Policy'))")
    assert "require-trusted-types-for 'script'" in header
    assert "" == window.driver.execute_script("return document.cookie")
