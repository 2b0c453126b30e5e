"""Many workloads with hundreds of changes a day each: the page stays fast, whatever changes together."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from selenium.webdriver.support.select import Select

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.scenes import in_trouble
from tests.web.stage import HOUR, other_view
from tests.web.window import Window
from trayapp.core.snapshot import Detail, Status, WorkloadView
from trayapp.core.view import style_of

pytestmark = pytest.mark.real

WATCHED = False  # the page's reading takes its usual time
COUNT = 200
# Wall time depends on the machine and what else it does; the limits leave room for one that is busy. The number of
# layouts does not: some elements make Chromium lay out each row by itself when it is put elsewhere (seen: `details`,
# `input`), two hundred layouts where two are enough.
LAYOUTS = 60
GAP = 1000.0  # ms without a picture; 3,400 with two hundred layouts on a busy machine
WATCH = """
window.gaps = []; window.long = []; let last = 0;
new PerformanceObserver((list) => { for (const each of list.getEntries()) long.push(each.duration); }).observe({type: 'longtask'});
(function frame(at) { if (last) gaps.push(at - last); last = at; requestAnimationFrame(frame); })(0);
"""


def layouts(window: Window) -> int:
    found: list[dict[str, Any]] = window.cdp("Performance.getMetrics")["metrics"]
    return next(int(each["value"]) for each in found if each["name"] == "LayoutCount")


def offline(view: WorkloadView) -> WorkloadView:
    drawn = style_of(Status.AUTH_RETRYING)
    auth = replace(view.auth, detail=Detail.OFFLINE, since=time.time())
    return replace(view, status=Status.AUTH_RETRYING, colour=drawn.colour, glyph=drawn.glyph, auth=auth)


def test_two_hundred(window: Window, show: Open) -> None:
    """All of them change together, and back; one after the other; and somebody scrolls through them."""

    views = scenes.many(COUNT)
    window.cdp("Performance.enable")
    stage = show(*views)
    for number, view in enumerate(views):
        stage.history[view.name] = scenes.busy_day(number)
    window.open(stage.address)
    window.until(lambda: window.js("return document.querySelectorAll('#list > .row').length") == COUNT, "not all", 20)
    assert window.order()[:5] == [f"workload-{number:03}" for number in (7, 47, 87, 127, 167)]
    assert window.js("return document.querySelectorAll('*').length") < 70 * COUNT
    window.js(WATCH)

    before = layouts(window)
    stage.put(*map(offline, views))
    window.until(lambda: window.text("#summary") == f"{COUNT} workloads are reconnecting", "not all offline", 20)
    window.until(lambda: len(window.js("return document.querySelectorAll('[data-rank=retrying]')")) == COUNT, "", 20)
    window.until(lambda: "workloads changed" in window.said(), "not said in one sentence")
    assert layouts(window) - before < LAYOUTS

    before = layouts(window)
    stage.put(*views)
    window.until(lambda: len(window.js("return document.querySelectorAll('[data-rank=running]')")) > 150, "", 20)
    assert layouts(window) - before < LAYOUTS

    for number in range(20):
        stage.put(replace(views[number], auth=replace(views[number].auth, attempts=number)))
    for top in range(0, 12000, 400):
        window.js("scrollTo(0, arguments[0])", top)
    gaps = window.js("return gaps")
    print("longest task", max(window.js("return long") or [0]), "ms, longest gap", max(gaps), "ms")
    assert max(gaps) < GAP
    assert window.js("return document.querySelectorAll('*').length") < 80 * COUNT


def test_two_hundred_of_others(window: Window, show: Open) -> None:
    """Beside as many of ours: all of them change together and back, and stop together, without a layout each."""

    ours = scenes.many(COUNT)
    theirs = [other_view(f"Server.{number:03}", ago=HOUR) for number in range(COUNT)]
    window.cdp("Performance.enable")
    stage = show(*ours, *theirs)
    window.until(lambda: len(window.order()) == 2 * COUNT, "not all", 20)
    assert window.js("return document.querySelectorAll('*').length") < 70 * 2 * COUNT
    window.js(WATCH)

    for word, rank in (("auth_retrying", "retrying"), ("running", "running")):
        before = layouts(window)
        stage.put(*(other_view(f"Server.{number:03}", word, "timed out") for number in range(COUNT)))
        mine = f"return document.querySelectorAll('[id^=workload-toolhive][data-rank={rank}]').length"
        window.until(lambda: window.js(mine) == COUNT, rank, 20)  # noqa: B023
        assert layouts(window) - before < LAYOUTS
    before = layouts(window)
    stage.put(*(other_view(f"Server.{number:03}", "stopped") for number in range(COUNT)))
    window.until(lambda: len(window.order()) == COUNT, "not away", 20)
    window.until(lambda: window.text("#away") == f"Show {COUNT} stopped in ToolHive", "not counted")
    assert layouts(window) - before < LAYOUTS
    gaps = window.js("return gaps")
    print("longest task", max(window.js("return long") or [0]), "ms, longest gap", max(gaps), "ms")
    assert max(gaps) < GAP


def test_choosing_among_many(window: Window, show: Open) -> None:
    """Kinds and a search field narrow the list; what is chosen is said by the buttons themselves."""

    show(*scenes.many(60))

    window.see("[data-group=you]").click()
    assert ["workload-007", "workload-047"] == window.order()
    assert "true" == window.see("[data-group=you]").get_attribute("aria-pressed")
    window.see("[data-group='']").click()
    window.see("#find").send_keys("-04")
    window.until(lambda: len(window.order()) == 10, "not narrowed")
    window.see("#find").send_keys("nowhere")
    assert "No matches" == window.text("#nothing")


def test_sorting(window: Window, show: Open) -> None:
    """By state, by name, or by the last refresh; rows that change later take their place in that order."""

    stage = show(*scenes.many(20))
    assert "workload-007" == window.order()[0]
    Select(window.see("#sort")).select_by_value("name")
    assert sorted(stage.control.views) == window.order()
    Select(window.see("#sort")).select_by_value("fresh")
    assert "workload-000" == window.order()[0]
    stage.change("workload-015", last_refreshed_at=time.time() + 1)
    window.until(lambda: window.order()[0] == "workload-015", "not moved")
    Select(window.see("#sort")).select_by_value("state")
    assert "workload-007" == window.order()[0]


def test_a_thousand_scroll_smoothly(window: Window, show: Open) -> None:
    """Only what is near the window is laid out, drawn and asked for."""

    show(*scenes.many(1000))
    window.until(lambda: len(window.order()) == 1000, "not all", 20)
    window.js(WATCH)
    height = int(window.js("return document.documentElement.scrollHeight"))
    assert height < 1000 * 48 + 200 * 160
    for top in range(0, height, 1500):
        window.js("scrollTo(0, arguments[0])", top)
    window.js("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    gaps = window.js("return gaps")
    print("longest gap", max(gaps), "ms")
    assert max(gaps) < GAP
    drawn = window.js("return document.querySelectorAll('#list .seg').length")
    assert drawn < 1000 * 6


LOADED = """
const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
return entries.filter(({ name }) => !name.includes("/api/")).reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0);
"""


def test_the_page_is_small(window: Window, show: Open) -> None:
    """What it loads to show the workloads; the other sections are loaded when somebody goes there."""

    show(*in_trouble())
    loaded = window.js(LOADED)
    print("loaded", loaded, "bytes")
    assert 100_000 < loaded < 150_000
    window.go("settings")
    window.see("#set-port")
    assert window.js(LOADED) > loaded


@pytest.mark.alone
def test_the_page_is_there_at_once(window: Window, show: Open) -> None:
    """The first paint waits for nothing but its own files."""

    show(*in_trouble())
    painted = window.js("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
    print("first paint", painted, "ms")
    assert painted < 300


def test_a_day_of_changes_is_six_layers(window: Window, show: Open) -> None:
    """The line costs the page the same, whatever happened; and what it draws together it says so."""

    stage = show(scenes.linear())
    stage.history["linear"] = scenes.busy_day(1, 1.0)
    window.open(f"{stage.address}#workload/linear")
    line = window.see("#detail-segs")
    window.until(lambda: int(str(line.get_attribute("aria-valuemax"))) > 50, "not drawn")

    assert 7 >= window.js("return arguments[0].children.length", line)
    assert int(str(line.get_attribute("aria-valuemax"))) <= 241
    window.js("arguments[0].focus()", line)
    window.press("\ue012")
    assert "changes, at worst: Reconnecting" in str(line.get_attribute("aria-valuetext"))
