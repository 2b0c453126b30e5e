"""Fixtures for the dashboard in one shared Chromium; each test gets a stage and a fresh page of its own.

A test whose tools are not installed is skipped with a reason on a laptop and fails under CI=true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.real import browser, node
from tests.requirements import skip_or_fail
from tests.web.scenes import day
from tests.web.stage import Stage
from tests.web.window import Window
from trayapp.core.snapshot import WorkloadView

Open = Callable[..., Stage]


# Answers of the API whose fields the page may read: all of them. Its objects are closed and have each key always, so a field
# that isn't there is one that the schemas don't have.
WATCH = """
(() => {
  const parse = JSON.parse;
  const known = new WeakMap();
  const asked = new Set(["then", "toJSON"]); // by the language
  const handler = {
    get(target, key) {
      if (typeof key === "string" && !(key in target) && !asked.has(key) && !Array.isArray(target))
        console.error(`no such field: ${key}, of ${Object.keys(target)}`);
      return watched(Reflect.get(target, key));
    },
  };
  function watched(value) {
    if (value === null || typeof value !== "object") return value;
    if (!known.has(value)) known.set(value, new Proxy(value, handler));
    return known.get(value);
  }
  JSON.parse = (...all) => watched(parse(...all));
})();
"""
READ = """
return document.body !== null && !document.body.classList.contains("reading")
  && document.querySelectorAll("#list > .row").length === arguments[0]"""


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Window]:
    if missing := browser.missing():
        skip_or_fail(f"{missing} not found: apt-get install chromium chromium-driver")
    with Window() as window:
        yield window


@pytest.fixture
def window(request: pytest.FixtureRequest, _chromium: Window) -> Iterator[Window]:
    """The window: light, wide, without motion, and without anything a previous test's page stored.

    A test fails in which the page read a field that the API doesn't have, unless its module is about speed.
    """
    _chromium.look()
    _chromium.forget()
    if getattr(request.module, "WATCHED", True):
        _chromium.cdp("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    yield _chromium
    missing = [each for each in _chromium.errors() if "no such field" in each]
    _chromium.forget()
    assert [] == missing


@pytest.fixture
def show(window: Window, tmp_path: Path) -> Iterator[Open]:
    """`show(view, …)`: a stage with these workloads and the page open on it, fully loaded."""
    with ExitStack() as stack:

        def opened(*views: WorkloadView) -> Stage:
            stage = Stage(tmp_path, *views)
            for view in views:
                stage.history[view.name] = day(view)
            stack.enter_context(stage)
            window.open(stage.link())
            window.until(lambda: window.js(READ, len(views)), "not read")
            return stage

        yield opened


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    try:
        return (node.packages() / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    except node.NodeMissing as error:
        skip_or_fail(str(error))
        raise
