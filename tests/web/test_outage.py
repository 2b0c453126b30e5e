"""The page while clients can't connect, or while there is no configuration: the heading says so, and what helps."""

from __future__ import annotations

import pytest

from tests.web.conftest import Open
from tests.web.stage import other_view, workload_view
from tests.web.window import Window
from trayapp.core.model import Problem
from trayapp.core.outages import Cause, Outage

pytestmark = pytest.mark.real

TAKEN = Outage(8765, Cause.IN_USE, "python3 (process 1234)", listening=40001)


def test_an_outage_is_no_green_page(window: Window, show: Open) -> None:
    """Heading, title and icon; the refused change says why."""

    stage = show(workload_view("github"))
    assert "warning" not in window.js("return document.querySelector('link[rel=icon]').dataset.shows")
    stage.fail(outage=TAKEN)
    window.until(lambda: window.text("#summary") == "Clients can't connect", "the heading")
    assert window.driver.title.startswith("Clients can't connect")
    assert "warning amber" == window.js("return document.querySelector('link[rel=icon]').dataset.shows")
    said = window.text("#app-trouble")
    assert (
        "Port 8765 is in use by python3 (process 1234), so clients can't connect. Quit that program, or choose" in said
    )
    stage.control.port_answer = Problem("port", "config.toml is read-only.")
    window.see("#app-trouble button").click()
    window.until(lambda: "config.toml is read-only." in window.text("#app-trouble"), "the reason")
    assert ("change_port", None) in stage.control.calls
    stage.fail()
    window.until(lambda: not window.find("#app-trouble"), "it stays")
    assert window.driver.title.startswith("github is connected")


def test_no_configuration_is_no_empty_one(window: Window, show: Open) -> None:
    """Nobody is asked to add a workload."""

    stage = show()
    stage.fail(broken="/home/ada/.config/amberlight/config.toml:7: workloads.one.url: is missing")
    window.until(lambda: window.text("#summary") == "Can't read the configuration", "the heading")
    assert not window.find("#setup-body h2")
    assert "config.toml:7: workloads.one.url" in window.text("#app-trouble")
    assert "cross red" == window.js("return document.querySelector('link[rel=icon]').dataset.shows")


HOLD = """
const fetched = window.fetch;
window.held = [];
window.fetch = async (address, ...rest) => {
  const answer = await fetched(address, ...rest);
  if (address.endsWith("/status")) await new Promise((done) => held.push(done));
  return answer;
};
"""


def test_news_outrun_an_older_answer(window: Window, show: Open) -> None:
    """An answer that was asked for before the news, and comes after them, changes nothing."""

    stage = show(workload_view("github"))
    window.js(HOLD)
    stage.stop()
    stage.start()
    window.until(lambda: window.js("return held.length"), "not asked", 12)
    stage.fail(broken="/home/ada/.config/amberlight/config.toml:7: workloads.one.url: is missing")
    window.until(lambda: window.text("#summary") == "Can't read the configuration", "the heading")

    window.driver.execute_async_script("held.forEach((done) => done()); setTimeout(arguments[0], 300)")

    assert "Can't read the configuration" == window.text("#summary")


def test_what_stopped_elsewhere_is_no_workload_here(window: Window, show: Open) -> None:
    """Without a configuration its sentence is shown, whatever else another program has stopped."""

    stage = show(other_view("slack", "stopped"))
    assert "Choose your servers" == window.text("#setup-body h2")
    stage.fail(broken="/home/ada/.config/amberlight/config.toml:7: workloads.one.url: is missing")
    window.until(lambda: window.find("#summary"), "set-up stays")
    assert "Can't read the configuration" == window.text("#summary")
