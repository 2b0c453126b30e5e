"""The first start as a new user has it, with the clicks counted: from `amberlight run` to "You're all set".

The real program in a terminal, real Chromium, a keyring, and a server that stands in for one of the catalog. The person's
hand is `Hand`: every click goes through it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests import ROOT
from tests.desktop.fresh_home import FreshHome
from tests.desktop.screen import wait_for
from tests.real.terminal import Terminal
from tests.web.window import Window
from trayapp.oauthtest import EchoWorkload, OAuthServer

CLICKS_MAX = 6
CANARY = "canary-91ac"
NAME = "standin"
LIMIT = 60.0  # s; a machine that also does other things starts two clients and a browser
# The program with one more server in its catalog.
PROGRAM = """
import sys
from trayapp.catalog import lookup
from trayapp.catalog.server import Server
one = Server({name!r}, "Stand-in", {url!r}, "echoes", vendor="Nobody", source="https://example.com", checked="")
lookup.BY_NAME[one.name] = one
from trayapp.cli import main
sys.exit(main(sys.argv[1:]))
"""
BROWSER = """#!/bin/sh
echo "$1" >> {addresses}
"""


@dataclass(frozen=True)
class StandIn:
    """The server of the catalog, and the authorization server that asks its user for consent on a page."""

    authority: OAuthServer
    workload: EchoWorkload

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        with (
            OAuthServer(registration=True, consent="page", canary=CANARY) as authority,
            EchoWorkload(authority) as workload,
        ):
            yield cls(authority, workload)

    def tool_calls(self) -> list[str]:
        """What became of each call of a tool, by the server's own record."""
        return [each.outcome for each in self.workload.calls if each.rpc_method == "tools/call"]


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

        self.window.until(labelled, f"no {selector} {label}", LIMIT).click()
        self.clicks += 1

    def page(self) -> None:
        """The program opens a page: the browser shows it in a new tab."""
        wait_for(lambda: len(self._known()) > self._opened, "a page to be opened", LIMIT)
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


@dataclass(frozen=True)
class Finished:
    """The set-up is through and the app runs. `seconds` it took, with a person who doesn't hesitate."""

    clicks: int
    seconds: float


@contextmanager
def set_up(fresh: FreshHome, url: str) -> Iterator[Finished]:
    """`amberlight run`, and nothing more is typed in a terminal: two clients get the server at `url`.

    At the end, Ctrl-C. No token and no key may have been on the terminal or the page.
    """
    addresses = fresh.root / "addresses"
    browser = fresh.root / "hand"
    browser.write_text(BROWSER.format(addresses=addresses))
    browser.chmod(0o755)
    env = {**fresh.env, "BROWSER": str(browser), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM.format(name=NAME, url=url), "run"]
    with Window() as window:
        window.look()
        start = time.monotonic()
        with Terminal(command, env, fresh.home) as terminal:
            terminal.expect("Set-up opens in your browser", LIMIT)
            hand = Hand(window, addresses)
            hand.page()
            hand.click("#setup-search")
            window.press("stand")
            hand.click("#setup-body .found button", "Stand-in")
            hand.click("#setup-body .primary", "Add and sign in")
            hand.page()
            hand.click("#allow")
            window.until(lambda: f"Signed in to {NAME}" in window.text(), "not signed in", LIMIT)
            hand.back()
            hand.click("#setup-body .primary", "Connect 2 clients")
            window.until(lambda: f"{NAME} answered: 1 tool" in window.text("#setup-body"), "no answer", LIMIT)
            assert "You're all set" == window.text("#setup-body h2")
            page = window.js("return document.documentElement.outerHTML")
            yield Finished(hand.clicks, time.monotonic() - start)
            terminal.interrupt()
            assert 0 == terminal.wait()
    key = fresh.claude_entry(NAME)["headers"]["Authorization"].removeprefix("Bearer ")
    assert len(key) > 20
    for secret in (CANARY, key):
        assert secret not in terminal.screen
        assert secret not in page
