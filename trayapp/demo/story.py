"""The demo's script, and the terminal output that goes with it.

The script is `_play`: all green; a firewall in front of every server (amber); the network back (green); one server
blocked until the ceiling (red, with a notification); one click that makes it green again. With `fast`, and where nobody
clicks, the click is played too.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable

from trayapp.app.app import App
from trayapp.core.labels import label
from trayapp.core.menu import GLYPH_CHARACTERS
from trayapp.core.presentation import Action, Verb
from trayapp.core.public import rfc3339
from trayapp.core.snapshot import Snapshot, WorkloadView
from trayapp.demo.audience import DONE_FOR_YOU, Audience
from trayapp.oauthtest import Mode, OAuthServer

log = logging.getLogger(__name__)

NAMES = ("calendar", "notes", "tickets")
BLOCKED = "tickets"  # the workload that stays blocked until its ceiling
SCENE_LIMIT = 60.0  # s for each scene; a demo that hangs says so
PAUSE = 6.0  # s that a scene stays on the screen


Condition = Callable[[dict[str, WorkloadView]], bool]


class DemoEnded(Exception):  # noqa: N818 - the user quit
    """The user quit before the story was over."""


class Narrator:
    """Prints what happens and lets the story wait for it. `show` runs on the engine's thread, the rest on its own."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._shown: dict[str, tuple[str, str]] = {}
        self._views: dict[str, WorkloadView] = {}
        self._changed = threading.Condition()
        self.ended = threading.Event()
        self.clicked = False  # by the demo itself
        self.code = 0

    def show(self, snapshot: Snapshot) -> None:
        """Print the workloads that changed, and wake the story."""
        with self._changed:
            for name, view in sorted(snapshot.workloads.items()):
                word = (view.status.value, view.auth.detail.value)
                if self._shown.get(name) != word:
                    self._shown[name] = word
                    self._print(view)
            self._views = dict(snapshot.workloads)
            self._changed.notify_all()

    def say(self, text: str) -> None:
        """Print a line of the story; not in JSON."""
        if not self._as_json:
            print(f"\n{text}", flush=True)

    def until(self, description: str, condition: Condition) -> None:
        """Wait for a state. Raises `TimeoutError` naming it, or `DemoEnded`."""
        if not self.reached(condition, SCENE_LIMIT):
            raise TimeoutError(description)

    def reached(self, condition: Condition, limit: float | None) -> bool:
        """Whether a state comes within `limit` seconds; None is for ever. Raises `DemoEnded`."""

        def known() -> bool:
            return self.ended.is_set() or bool(self._views and condition(self._views))

        with self._changed:
            came = self._changed.wait_for(known, limit)
        if self.ended.is_set():
            raise DemoEnded
        return came

    def end(self) -> None:
        """The app has ended: nothing will change any more."""
        with self._changed:
            self.ended.set()
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Leave time to look."""
        self.ended.wait(seconds)

    def _print(self, view: WorkloadView) -> None:
        if self._as_json:
            line = {"at": rfc3339(time.time()), "name": view.name, "status": view.status.value}
            print(json.dumps({**line, "detail": view.auth.detail.value}), flush=True)
            return
        at = time.strftime("%H:%M:%S")
        print(
            f"  {at}  {GLYPH_CHARACTERS[view.glyph]} {view.name:<10} {label(view):<19} {view.status_context}",
            flush=True,
        )


def play(
    app: App, narrator: Narrator, servers: dict[str, OAuthServer], audience: Audience, fast: bool, ends: bool
) -> None:
    """Run the story, in a thread of its own; whatever goes wrong ends the demo with a sentence."""
    try:
        _play(app, narrator, servers, audience, fast)
    except DemoEnded:
        return
    except TimeoutError as error:
        _fail(narrator, f"The demo timed out waiting for: {error}")
    except Exception as error:  # a demo whose story has stopped would never end
        log.exception("the demo stopped")
        _fail(narrator, f"The demo stopped: {type(error).__name__}: {error}")
    else:
        if not ends:
            narrator.say("The demo keeps running. To quit, choose Quit in the menu, or press Ctrl-C here.")
            return
    app.quit()


def _fail(narrator: Narrator, sentence: str) -> None:
    narrator.code = 1
    print(sentence, file=sys.stderr)


def _play(app: App, narrator: Narrator, servers: dict[str, OAuthServer], audience: Audience, fast: bool) -> None:
    pause = 0.2 if fast else PAUSE
    if audience.opening:
        narrator.say(audience.opening)
    narrator.say("Good morning. All workloads are connected.")
    narrator.until("green", _all_running)
    narrator.pause(pause)
    narrator.say("The laptop wakes behind a firewall: amber, no action needed.")
    for server in servers.values():
        server.mode = Mode.FIREWALL
    narrator.until("amber", lambda views: _all(views, "auth_retrying"))
    narrator.pause(pause / 2)
    narrator.say("The network is back: green again.")
    for server in servers.values():
        server.mode = Mode.SUCCESS
    narrator.until("green again", _all_running)
    narrator.pause(pause / 2)
    narrator.say(f"{BLOCKED} stays blocked for too long: red, sign-in needed.")
    servers[BLOCKED].mode = Mode.FIREWALL
    narrator.until("red", lambda views: views[BLOCKED].status.value == "unauthenticated")
    servers[BLOCKED].mode = Mode.SUCCESS
    narrator.say(audience.hint)
    if not narrator.reached(_all_running, audience.patience):
        if audience.patience:
            narrator.say(DONE_FOR_YOU)
        narrator.clicked = True
        app.act(Action(Verb.REAUTHORIZE, BLOCKED))
    narrator.until("the click", _all_running)
    narrator.say("One click, and it's green again.")
    narrator.pause(pause / 2)


def _all_running(views: dict[str, WorkloadView]) -> bool:
    return _all(views, "running")


def _all(views: dict[str, WorkloadView], status: str) -> bool:
    return all(view.status.value == status and view.auth.detail.value in ("ok", "retrying") for view in views.values())
