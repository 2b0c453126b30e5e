"""The first start as a new user has it, with the clicks counted: an empty home, Claude Code and Codex, one server.

The real program in a terminal, real Chromium, a keyring, and a server that stands in for one of the catalog. The person's
hand is `Hand`: every click goes through it. At the end the tool is called with what was written into each client's file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.desktop.desk import Desk
from tests.desktop.fresh_home import FreshHome
from tests.desktop.screen import wait_for
from tests.desktop.test_setup import call
from tests.real.terminal import Terminal
from tests.web.window import Window
from trayapp.oauthtest import EchoWorkload, OAuthServer

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

CLICKS_MAX = 6
CANARY = "canary-91ac"
NAME = "standin"
# The program with one more server in its catalog.
PROGRAM = """
import sys
from trayapp.catalog import lookup
from trayapp.catalog.server import Server
one = Server({name!r}, "Stand-in", {url!r}, "echoes", vendor="Nobody", source="https://example.com", checked="")
lookup.SERVERS = (*lookup.SERVERS, one)
from trayapp.cli import main
sys.exit(main(sys.argv[1:]))
"""
BROWSER = """#!/bin/sh
echo "$1" >> {addresses}
"""


class Hand:
    """What the person does in the browser. `addresses` is where the program's browser command writes what it is given."""

    def __init__(self, window: Window, addresses: Path) -> None:
        self.window = window
        self.clicks = 0
        self._addresses = addresses
        self._opened = 0

    def click(self, selector: str, label: str = "") -> None:
        """Click on the element, and count it."""

        def labelled() -> object:
            found = [each for each in self.window.find(selector) if label in each.text and each.is_enabled()]
            return found and found[0]

        self.window.until(labelled, f"no {selector} {label}", 20).click()
        self.clicks += 1

    def page(self) -> None:
        """The program opens a page: the browser shows it in a new tab."""
        wait_for(lambda: len(self._known()) > self._opened, "a page to be opened", 30.0)
        address = self._known()[self._opened]
        self._opened += 1
        if self._opened > 1:
            self.window.driver.switch_to.new_window("tab")
        self.window.driver.get(address)

    def back(self) -> None:
        """The tab of the sign-in is closed, as its last page says; the dashboard is in front again."""
        self.window.driver.close()
        self.window.driver.switch_to.window(self.window.driver.window_handles[0])

    def _known(self) -> list[str]:
        return self._addresses.read_text().split() if self._addresses.exists() else []


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer(registration=True, consent="page", canary=CANARY) as server:
        yield server


@pytest.fixture
def workload(server: OAuthServer) -> Iterator[EchoWorkload]:
    with EchoWorkload(server) as workload:
        yield workload


@pytest.fixture
def fresh(desk: Desk, tmp_path: Path, chromium: None) -> Iterator[FreshHome]:
    """Claude Code and Codex have been used here, without any server."""
    with FreshHome(desk, tmp_path) as fresh:
        fresh.configure_port()
        fresh.give_claude({})
        fresh.give_codex()
        browser = tmp_path / "hand"
        browser.write_text(BROWSER.format(addresses=tmp_path / "addresses"))
        browser.chmod(0o755)
        fresh.env |= {"BROWSER": str(browser), "PYTHONPATH": str(ROOT)}
        yield fresh


async def test_six_clicks_and_one_sign_in_to_a_tool_call(
    fresh: FreshHome, server: OAuthServer, workload: EchoWorkload, tmp_path: Path
) -> None:
    """`amberlight run`, and nothing more is typed in a terminal; both clients call the tool."""

    command = [sys.executable, "-c", PROGRAM.format(name=NAME, url=workload.url), "run"]
    with Terminal(command, fresh.env, fresh.home) as terminal, Window() as window:
        terminal.expect("Set-up opens in your browser")
        window.look()
        hand = Hand(window, tmp_path / "addresses")
        hand.page()
        hand.click("#setup-search")
        window.press("stand")
        hand.click("#setup-body .found button", "Stand-in")
        hand.click("#setup-body .primary", "Add and sign in")
        hand.page()
        hand.click("#allow")
        window.until(lambda: f"Signed in to {NAME}" in window.text(), "not signed in", 20)
        hand.back()
        hand.click("#setup-body .primary", "Connect 2 clients")
        window.until(lambda: f"{NAME} answered: 1 tool" in window.text("#setup-body"), "no answer", 30)
        assert "You're all set" == window.text("#setup-body h2")

        assert "hello" == await call(fresh.claude_entry(NAME), "headers", fresh.env)
        assert "hello" == await call(fresh.codex_entry(NAME), "http_headers", fresh.env)
        print(f"{hand.clicks} clicks, {server.count('authorize')} sign-in")
        assert hand.clicks <= CLICKS_MAX
        assert 1 == server.count("authorize") == server.count("register")
        shown = window.js("return document.documentElement.outerHTML")
        terminal.interrupt()
        assert 0 == terminal.wait()
    keys = [fresh.claude_entry(NAME)["headers"]["Authorization"].removeprefix("Bearer ")]
    for secret in (CANARY, *keys):
        assert secret not in terminal.screen
        assert secret not in shown
