"""axe-core finds no violation in any view of the page, in light and dark, wide and narrow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from selenium.webdriver.common.keys import Keys

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.scenes import in_trouble
from tests.web.stage import Stage, other_view
from tests.web.window import Window
from trayapp.api.controls import Rejected
from trayapp.core.snapshot import WorkloadView

pytestmark = pytest.mark.real


def everything_open(window: Window, stage: Stage) -> None:
    """Panels unfolded, and a menu."""
    window.js("for (const fold of document.querySelectorAll('.row [data-fold]')) fold.click()")
    window.see("#workload-notion .more").click()
    window.see("#menu button")


def detail(window: Window, stage: Stage) -> None:
    """The page of one workload, with its key shown."""
    scenes.clients(stage.control.home)
    window.go("workload/github")
    window.see("#detail-show").click()
    window.see("#detail-clients li")
    window.see("#detail-segs .seg:not([hidden])")


def renaming(window: Window, stage: Stage) -> None:
    """A name that is not possible."""
    window.go("workload/github")
    window.see("[data-menu=rename]").click()
    window.see("#rename-name").send_keys(" not so", Keys.ENTER)
    window.see("#rename-error")


def renamed(window: Window, stage: Stage) -> None:
    """What was done, above the workload's page."""
    window.go("workload/github")
    window.see("[data-menu=rename]").click()
    window.see("#rename-name").send_keys("work", Keys.ENTER)
    window.see("#told")


def unfolded(window: Window, stage: Stage) -> None:
    """All ways to sign in, and that there is no keyring."""
    stage.lose_keyring()
    window.see(".run-only")
    window.js("for (const fold of document.querySelectorAll('.row [data-fold]')) fold.click()")


def gone(window: Window, stage: Stage) -> None:
    """The app went away."""
    stage.stop()
    window.until(lambda: "Can't reach" in window.text("#summary"), "not gone")


def gone_elsewhere(window: Window, stage: Stage) -> None:
    """The same on the page of one workload."""
    window.go("workload/github")
    window.see("#detail-segs .seg:not([hidden])")
    stage.stop()
    window.see("#gone")


def locked(window: Window, stage: Stage) -> None:
    """A page that has no key."""
    window.js("sessionStorage.clear()")
    window.open(stage.address)
    window.see("#locked")


def adding(window: Window, stage: Stage) -> None:
    """The form, with complaints."""
    window.see("#add").click()
    window.see("#add-more summary").click()
    window.see("#add-name").send_keys("?", Keys.ENTER)
    window.see("#error-name")


def finding(window: Window, stage: Stage) -> None:
    """The form, with servers found and the note about one that was chosen before."""
    window.see("#add").click()
    window.see("#add-search").send_keys("slack", Keys.ENTER)
    window.see("#add-note a")
    window.see("#add-search").send_keys("cloudflare")
    window.see("#add-found button")


def connecting(window: Window, stage: Stage) -> None:
    """Clients in every state, one of them just connected, and the settings to be copied by hand."""
    scenes.clients(stage.control.home)
    window.js("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    window.go("clients/github")
    window.see("#connect-list [data-client=connect]").click()
    window.see("#connect-list .told.good")
    window.see("#connect-hand summary").click()
    window.see("#connect-copy").click()
    window.see("#connect-text")


def connecting_all(window: Window, stage: Stage) -> None:
    """The same for all workloads."""
    scenes.clients(stage.control.home)
    window.go("clients")
    window.see("#connect-list li")


def nothing_to_connect(window: Window, stage: Stage) -> None:
    """No client is installed."""
    window.go("clients/github")
    window.see("#connect-copy")


def removing(window: Window, stage: Stage) -> None:
    """The last question."""
    window.choose("github", "remove")
    window.see("#confirm-yes")


def theirs(window: Window, stage: Stage) -> None:
    """The page of another program's workload."""
    window.go("workload/toolhive/Figma.v2")
    window.see("#detail-segs .seg:not([hidden])")


def taking_over(window: Window, stage: Stage) -> None:
    """What a take-over would change."""
    stage.control.take_over_plan = scenes.PLAN
    window.js("location.hash = '#take-over=toolhive/Figma.v2'")
    window.see("#take-over-dialog .bullets")


def giving_back(window: Window, stage: Stage) -> None:
    """What happens to one that was taken over, and why it can't be done."""
    stage.control.owners["notion"] = "ToolHive"
    stage.control.rejected = scenes.refused("ToolHive isn't responding.")
    window.go("workload/notion")
    window.see("#detail [data-menu=giveBack]").click()
    window.see("#take-over-dialog [type=submit]").click()
    window.until(lambda: window.text("#take-over-dialog .wrong"), "not said")


def no_taking_over(window: Window, stage: Stage) -> None:
    """Why it can't be done."""
    stage.control.rejected = scenes.refused("ToolHive isn't responding.")
    window.js("location.hash = '#take-over=toolhive/Figma.v2'")
    window.until(lambda: window.text("#take-over-dialog .wrong"), "not said")


def all_of_theirs(window: Window, stage: Stage) -> None:
    """With those that have stopped, and a menu."""
    window.see("#away").click()
    window.see("[id='workload-toolhive/miro'] .more").click()
    window.see("#menu button")


def as_it_is(window: Window, stage: Stage) -> None:
    """Nothing more."""


def settings(window: Window, stage: Stage) -> None:
    """All of them, one with a mistake."""
    window.go("settings")
    window.see("#set-port")
    window.js("for (const each of document.querySelectorAll('#view-settings details')) each.open = true")
    stage.control.rejected = Rejected(400, "bad_value", "No.", {"quiet_hours": "Write it like 22:00-07:00."})
    window.see("#set-quiet_hours").send_keys("tonight", Keys.TAB)
    window.until(lambda: window.text("#set-quiet_hours-wrong"), "no mistake")


def editing(window: Window, stage: Stage) -> None:
    """The settings of one workload."""
    window.go("workload/github")
    window.see("[data-menu=edit]").click()
    window.see("#edit-url")


def activity(window: Window, stage: Stage) -> None:
    """Requests of every kind."""
    stage.use(*scenes.requests())
    window.go("activity")
    window.see("#view-activity tbody tr")


def diagnostics(window: Window, stage: Stage) -> None:
    """Checks of every state, and a log."""
    stage.inspection.found = scenes.checks()
    stage.inspection.entries = scenes.log_entries(time.time())
    window.go("diagnostics")
    window.see(".check")
    window.see(".log li")


def both() -> list[WorkloadView]:
    """Ours and those of other programs."""
    return [*in_trouble(), *scenes.others()]


PAGE_VIEWS: dict[str, tuple[Callable[[], list[WorkloadView]], Callable[[Window, Stage], None]]] = {
    "welcome": (list, as_it_is),
    "trouble": (in_trouble, everything_open),
    "every state": (scenes.every_state, unfolded),
    "detail": (in_trouble, detail),
    "renaming": (in_trouble, renaming),
    "renamed": (in_trouble, renamed),
    "many": (scenes.many, as_it_is),
    "gone": (in_trouble, gone),
    "gone elsewhere": (in_trouble, gone_elsewhere),
    "locked": (list, locked),
    "adding": (list, adding),
    "finding": (list, finding),
    "connecting": (in_trouble, connecting),
    "connecting all": (in_trouble, connecting_all),
    "nothing to connect": (in_trouble, nothing_to_connect),
    "removing": (in_trouble, removing),
    "theirs": (both, all_of_theirs),
    "page of theirs": (both, theirs),
    "taking over": (both, taking_over),
    "no taking over": (both, no_taking_over),
    "giving back": (in_trouble, giving_back),
    "settings": (in_trouble, settings),
    "editing": (in_trouble, editing),
    "activity": (in_trouble, activity),
    "diagnostics": (in_trouble, diagnostics),
}


@pytest.mark.parametrize("page_view", PAGE_VIEWS)
def test_no_violations(window: Window, show: Open, axe: str, page_view: str) -> None:
    """Names, roles, contrast, order of headings, focus: by the rules of WCAG 2.2 AA and of good practice."""

    views, prepare = PAGE_VIEWS[page_view]
    stage = show(*views())
    window.js("document.head.append(document.createComment('axe'))")
    prepare(window, stage)

    for dark in (False, True):
        for width in (1100, 360):
            # What is not laid out is not looked at: here everything is.
            window.look(dark=dark, width=width, height=8000)
            window.until(lambda: window.js("return matchMedia('(prefers-color-scheme: dark)').matches") is dark, "")  # noqa: B023
            assert [] == window.axe(axe), (page_view, "dark" if dark else "light", width)


@pytest.mark.parametrize("width", [320, 360, 700, 1100, 1900])
def test_nothing_is_wider_than_the_window(window: Window, show: Open, width: int) -> None:
    """No width makes anybody scroll sideways, and no two buttons lie on each other."""

    long = other_view("A.name-of-another-program." + "x" * 100, "unauthenticated", "a-word-without-an-end-" * 12)
    show(*scenes.every_state(), *scenes.others(), long)

    window.look(width=width, height=8000)

    assert window.js("return document.documentElement.scrollWidth") <= width
    crossing = window.js(
        "const boxes = [...document.querySelectorAll('#list > .row')].flatMap((row) => {"
        "  const all = [...row.querySelectorAll('.mono, h2 a, .tag, .host, .pill, .when, button, .trouble > p, .segs')].map((e) => e.getBoundingClientRect());"
        "  return all.flatMap((a, i) => all.slice(i + 1).filter((b) => a.width && b.width && a.left < b.right - 1 &&"
        "    b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1).map(() => row.id)); });"
        "return [...new Set(boxes)]"
    )
    assert [] == crossing


@pytest.mark.parametrize("width", [320, 360, 700])
def test_no_page_is_wider_than_the_window(window: Window, show: Open, width: int) -> None:
    """Nor the page of a workload with a long name, nor what its take-over says."""

    name = "A.name-of-another-program." + "x" * 100
    stage = show(other_view(name, "unauthenticated", "a-word-without-an-end-" * 12))
    long = (("C" * 80, "~/" + "f" * 120, "e" * 80),)
    stage.control.take_over_plan = replace(scenes.PLAN, url=f"https://{'u' * 120}.example/mcp", clients=long)
    window.look(width=width, height=8000)
    window.js("location.hash = arguments[0]", f"#take-over=toolhive/{name}")
    window.see("#take-over-dialog .bullets")
    for place in ("html", "#take-over-dialog"):
        assert window.js("const e = document.querySelector(arguments[0]); return e.scrollWidth <= e.clientWidth", place)
