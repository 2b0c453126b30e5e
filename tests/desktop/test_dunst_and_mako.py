"""Notifications by the daemons of window managers, which have no buttons but commands that press them.

The test command installs neither; without them these tests are skipped. Xfce's daemon has its tests in `test_tray.py`.
"""

from __future__ import annotations

import asyncio
import json
import queue
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.desk import NOTIFICATIONS, Desk
from tests.desktop.screen import wait_for
from tests.desktop.wayland import Sway
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.tray.channel import Listener
from trayapp.tray.notify import NotificationCentre

pytestmark = pytest.mark.desktop

RETRY = Action(Verb.RETRY, "mail")
REAUTHORIZE = Action(Verb.REAUTHORIZE, "mail")
SHOW = Action(Verb.SHOW)


class Daemon:
    """A notification daemon on a desk of its own kind."""

    program = ""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def start(self) -> None:
        self.desk.spawn(self.program, *self.options())
        wait_for(lambda: self.desk.has_name(NOTIFICATIONS), self.program)

    def options(self) -> tuple[str, ...]:
        return ()

    def titles(self) -> list[str]:
        """What is on the screen."""
        raise NotImplementedError

    def press(self, button: str) -> None:
        """Press a button of the newest notification."""
        raise NotImplementedError

    def command(self, *words: str) -> str:
        done = subprocess.run(words, env=self.desk.env, capture_output=True, text=True, check=True)
        return done.stdout


class Dunst(Daemon):
    """dunst lists the buttons in a menu program, here one that chooses without a person."""

    program = "dunst"

    def options(self) -> tuple[str, ...]:
        conf, chooser = self.desk.root / "dunstrc", self.desk.root / "chooser"
        chooser.write_text(f'#!/bin/sh\nexec grep --max-count=1 -f "{self.desk.root}/choice"\n')
        chooser.chmod(0o700)
        conf.write_text(f"[global]\ndmenu = {chooser}\n[urgency_normal]\ntimeout = 0\n")
        return "-conf", str(conf)

    def titles(self) -> list[str]:
        return ["?"] * int(self.command("dunstctl", "count", "displayed"))

    def press(self, button: str) -> None:
        if button == "Show":
            self.command("dunstctl", "action", "0")
            return
        self.desk.root.joinpath("choice").write_text(button)
        self.command("dunstctl", "context")


class Mako(Daemon):
    """mako's left click is the default action."""

    program = "mako"

    def titles(self) -> list[str]:
        (shown,) = json.loads(self.command("makoctl", "list"))["data"]
        return [notification["summary"]["data"] for notification in shown]

    def press(self, button: str) -> None:
        (shown,) = json.loads(self.command("makoctl", "list"))["data"]
        (number,) = [key for key, label in shown[0]["actions"]["data"].items() if label == button]
        self.command("makoctl", "invoke", number)


@pytest.fixture(params=[Dunst, Mako], ids=lambda kind: kind.program)
def daemon(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    require_desk()
    kind: type[Daemon] = request.param
    if not shutil.which(kind.program) or (kind is Mako and not Sway.installed()):
        pytest.skip(f"{kind.program} is not installed")
    desk = Sway() if kind is Mako else Desk(panel=False, notifications=False, keyring_password=None)
    with desk:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", desk.env["DBUS_SESSION_BUS_ADDRESS"])
        made = kind(desk)
        made.start()
        yield made


async def test_buttons_replacement_and_withdrawal(daemon: Daemon) -> None:
    """Each button and a click on the text post their actions; a newer notice replaces the older; the end removes it."""

    pressed: queue.Queue[Action] = queue.Queue()
    centre = NotificationCentre(Listener(pressed.put_nowait))
    buttons = (("Reauthorize", REAUTHORIZE), ("Retry now", RETRY))
    for label, action in (*buttons, ("Show", SHOW)):
        assert await centre.show(Notice("red", "mail: Sign-in needed", "Its login was refused.", buttons))
        await asyncio.to_thread(daemon.press, label)
        assert action == await heard(pressed)
    for title in ("mail: Sign-in needed", "2 workloads: Sign-in needed"):
        assert await centre.show(Notice("red", title, "Their logins were refused.", buttons))
    assert 1 == len(await asyncio.to_thread(daemon.titles))
    await centre.withdraw("red")
    await asyncio.to_thread(wait_for, lambda: not daemon.titles(), "the notification to go")
    await centre.close()


async def heard(pressed: queue.Queue[Action]) -> Action:
    """The next action, while the loop goes on."""
    return await asyncio.to_thread(pressed.get, timeout=5)
