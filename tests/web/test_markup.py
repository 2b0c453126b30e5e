"""Markup in a server's words is text on the dashboard, in real Chromium."""

from __future__ import annotations

import time

import pytest

from tests.web.conftest import Open
from tests.web.stage import workload_view
from tests.web.window import Window
from trayapp.core.model import DeviceCode, Problem
from trayapp.core.snapshot import Detail, Status

pytestmark = pytest.mark.real

EVIL = "<img src=x onerror=\"document.title='evil'\"><b>bold</b> &amp; <script>document.title='evil'</script>"
PROBLEM = Problem("oauth", f"The server ended this login. It says: {EVIL}", 400, "<i>invalid_grant</i>")


def test_markup_is_shown_as_text(window: Window, show: Open) -> None:
    """In every place that a server's words reach: reason, error and its code, sign-in, warning, device code, history."""

    code = DeviceCode("<b>A</b>", "https://login.test/<b>device</b>", "", time.time() + 600)
    show(
        workload_view(
            "red",
            Status.UNAUTHENTICATED,
            Detail.REFUSED,
            f"Sign in again: {EVIL}",
            problem=PROBLEM,
            sign_in_error=PROBLEM,
        ),
        workload_view("amber", Status.AUTH_RETRYING, Detail.RETRYING, "Trying again.", problem=PROBLEM, next_in=60.0),
        workload_view("green", Status.RUNNING, Detail.OK, sign_in_warning=PROBLEM, signing_in=True, device=code),
    )
    for name in ("red", "amber", "green"):
        assert "<b>" in window.row(name).text
    assert EVIL in window.row("red").text
    for name in ("red", "amber", "green"):
        window.go(f"workload/{name}")
        window.until(lambda: "<b>" in window.text("#detail-trouble"), "not shown")
        assert not window.js(
            "return document.querySelectorAll('main b:not(.at, .choices b), main img, main script').length"
        )
    assert "evil" != window.js("return document.title")
