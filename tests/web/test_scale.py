"""Two hundred workloads with three hundred changes a day each: the page stays fast, whatever changes together."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.window import Window
from trayapp.core.snapshot import Detail, Status, WorkloadView
from trayapp.core.view import style_of

pytestmark = pytest.mark.real

COUNT = 200
# Wall time depends on the machine and what else it does; the limits leave room for one that is busy. The number of
# layouts does not: some elements make Chromium lay out each card by itself when it is put elsewhere (seen: `details`,
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
    window.until(lambda: window.js("return document.querySelectorAll('.card').length") == COUNT, "not all", 20)
    assert window.order()[:5] == [f"workload-{number:03}" for number in (7, 47, 87, 127, 167)]
    assert window.js("return document.querySelectorAll('*').length") < 70 * COUNT
    window.js(WATCH)

    before = layouts(window)
    stage.put(*map(offline, views))
    window.until(lambda: window.text("#summary").startswith(f"0 of {COUNT}"), "not all offline", 20)
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
    assert "No workload fits." == window.text("#nothing")


def test_a_day_of_changes_is_six_layers(window: Window, show: Open) -> None:
    """The line costs the page the same, whatever happened; and what it draws together it says so."""

    stage = show(scenes.linear())
    stage.history["linear"] = scenes.busy_day(1, 1.0)
    window.open(stage.address)
    line = window.see("#workload-linear .segs")
    window.until(lambda: int(str(line.get_attribute("aria-valuemax"))) > 50, "not drawn")

    assert 7 >= window.js("return arguments[0].children.length", line)
    assert int(str(line.get_attribute("aria-valuemax"))) <= 241
    window.js("arguments[0].focus()", line)
    window.press("\ue012")
    assert "changes, at worst: Retrying by itself" in str(line.get_attribute("aria-valuetext"))
