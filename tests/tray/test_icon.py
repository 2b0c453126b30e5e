"""The tray icon over a fake backend: one-place mailbox, four changes a second, clicks in their own thread, and its end."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from trayapp.core.presentation import Action, Colour, Glyph, IconView, MenuItem, TrayView, Verb
from trayapp.tray import icon as icon_module
from trayapp.tray.icon import TrayIcon
from trayapp.tray.mailbox import Mailbox, ViewUpdate, difference

VIEW = IconView(Glyph.TICK, Colour.GREEN, (Colour.GREEN,))
SHOW = Action(Verb.SHOW)


def tray_view(tooltip: str = "all well", icon: IconView = VIEW, *items: MenuItem) -> TrayView:
    return TrayView(icon, tooltip, items)


class FakeBackend:
    """A backend without a screen: records the changes and the threads they came from."""

    def __init__(self, on_action: Callable[[Action], None], on_host: Callable[[bool], None]) -> None:
        self.click, self.host = on_action, on_host
        self.changes: queue.Queue[ViewUpdate] = queue.Queue()
        self.threads: set[str] = set()
        self.fail = 0
        self._stopped = threading.Event()

    def run(self, setup: Callable[[Any], None]) -> None:
        painter = threading.Thread(target=setup, args=(self,), name="painter")
        painter.start()
        self._stopped.wait(10)
        painter.join(10)

    def apply(self, change: ViewUpdate) -> None:
        self.threads.add(threading.current_thread().name)
        if self.fail:
            self.fail -= 1
            raise RuntimeError("the panel fell over")
        self.changes.put(change)

    def stop(self) -> None:
        self._stopped.set()

    def next(self) -> ViewUpdate:
        return self.changes.get(timeout=5)


class Running:
    """A TrayIcon over a fake backend, running in a thread."""

    def __init__(
        self,
        on_action: Callable[[Action], None] = lambda _: None,
        backend: type[FakeBackend] = FakeBackend,
        **more: Any,
    ) -> None:
        self.ready = threading.Event()
        self._made: queue.Queue[FakeBackend] = queue.Queue()

        def make(title: str, click: Callable[[Action], None], host: Callable[[bool], None]) -> FakeBackend:
            made = backend(click, host)
            self._made.put(made)
            return made

        self.icon = TrayIcon(on_action, self.ready.set, make_backend=make, **more)
        self.thread = threading.Thread(target=self.icon.run)

    def __enter__(self) -> Running:
        self.thread.start()
        self.backend = self._made.get(timeout=5)
        assert self.ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self.icon.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()


class BalloonBackend(FakeBackend):
    """The backend of Windows: its icon has balloons."""

    def __init__(self, on_action: Callable[[Action], None], on_host: Callable[[bool], None]) -> None:
        super().__init__(on_action, on_host)
        self.balloons: list[tuple[str, str]] = []

    def show_balloon(self, title: str, text: str) -> bool:
        self.balloons.append((title, text))
        return True


def test_a_balloon_is_the_icons_while_it_runs() -> None:
    """Before, afterwards and on other systems there is none."""

    with Running() as running:
        assert not running.icon.show_balloon("title", "text")
    running = Running(backend=BalloonBackend)
    assert not running.icon.show_balloon("early", "text")
    with running:
        assert running.icon.show_balloon("title", "text")
        assert isinstance(running.backend, BalloonBackend)
        assert [("title", "text")] == running.backend.balloons
    assert not running.icon.show_balloon("late", "text")


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icon_module, "MIN_INTERVAL", 0.001)


def test_only_the_newest_view_is_kept() -> None:
    """A late `take` gets the latest view."""

    box = Mailbox()
    box.put(tray_view("old"))
    box.put(tray_view("new"))
    assert tray_view("new") == box.take()


def test_a_closed_mailbox_gives_nothing_more() -> None:
    """Not even the view that is in it."""

    box = Mailbox()
    box.put(tray_view())
    box.close()
    assert box.take() is None


def test_closing_wakes_a_waiting_taker() -> None:
    """The painter ends immediately."""

    box = Mailbox()
    taken: list[object] = []
    taker = threading.Thread(target=lambda: taken.append(box.take()))
    taker.start()
    box.close()
    taker.join(5)
    assert [None] == taken


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, tray_view(), ViewUpdate(VIEW, "all well", ())),
        (tray_view(), tray_view(), ViewUpdate()),
        (tray_view(), tray_view("retrying"), ViewUpdate(tooltip="retrying")),
        (
            tray_view(),
            tray_view("all well", IconView(Glyph.OPEN, Colour.BLUE)),
            ViewUpdate(IconView(Glyph.OPEN, Colour.BLUE)),
        ),
        (tray_view(), tray_view("all well", VIEW, MenuItem("a")), ViewUpdate(menu=(MenuItem("a"),))),
        (tray_view("all well", VIEW, MenuItem("a")), tray_view(), ViewUpdate(menu=())),
    ],
)
def test_a_change_holds_only_what_differs(before: TrayView | None, after: TrayView, expected: ViewUpdate) -> None:
    """An emptied menu is a change too."""

    assert expected == difference(before, after)
    assert bool(expected) is (before != after)


@pytest.mark.usefixtures("_quick")
def test_a_view_reaches_the_backend_in_the_painter_thread() -> None:
    """Once in full, then only what changed, and nothing for the same view again."""

    with Running() as running:
        running.icon.publish(tray_view("one"))
        assert ViewUpdate(VIEW, "one", ()) == running.backend.next()
        running.icon.publish(tray_view("one"))
        running.icon.publish(tray_view("two"))
        assert ViewUpdate(tooltip="two") == running.backend.next()
        assert {"painter"} == running.backend.threads


def test_a_view_is_made_by_the_painter_and_only_if_it_is_shown() -> None:
    """Making one can take as long as drawing it; the publisher does not wait for that."""

    makers: list[tuple[str, str]] = []

    def making(tooltip: str) -> Callable[[], TrayView]:
        def make() -> TrayView:
            makers.append((tooltip, threading.current_thread().name))
            return tray_view(tooltip)

        return make

    with Running() as running:
        running.icon.publish(making("one"))
        assert ViewUpdate(VIEW, "one", ()) == running.backend.next()
        running.icon.publish(making("two"))
        running.icon.publish(making("three"))
        assert ViewUpdate(tooltip="three") == running.backend.next()
    assert [("one", "painter"), ("three", "painter")] == makers


def test_flapping_states_cost_four_changes_a_second() -> None:
    """Of a thousand views in a row, the first is shown and, a quarter of a second later, the last."""

    with Running() as running:
        began = time.monotonic()
        running.icon.publish(tray_view("first"))
        running.backend.next()
        for i in range(1000):
            running.icon.publish(tray_view(str(i)))
        assert ViewUpdate(tooltip="999") == running.backend.next()
        assert time.monotonic() - began >= icon_module.MIN_INTERVAL * 0.9


def test_stopping_cuts_the_pause_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end does not wait for the next redraw."""

    monkeypatch.setattr(icon_module, "MIN_INTERVAL", 60.0)
    with Running() as running:
        running.icon.publish(tray_view())
        running.backend.next()
        running.icon.publish(tray_view("never drawn"))
        began = time.monotonic()
    assert time.monotonic() - began < 5.0
    assert running.backend.changes.empty()


def test_stop_before_run_ends_it_immediately() -> None:
    """A signal may arrive before the icon is shown."""

    running = Running()
    running.icon.stop()
    with running:
        running.icon.publish(tray_view())
        running.thread.join(5)
        assert not running.thread.is_alive()
    assert running.backend.changes.empty()


@pytest.mark.usefixtures("_quick")
def test_after_a_failure_the_next_view_is_shown_in_full(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing half shown remains; the log has the reason."""

    with Running() as running:
        running.icon.publish(tray_view("one"))
        running.backend.next()
        running.backend.fail = 1
        running.icon.publish(tray_view("two"))
        while running.backend.fail:
            time.sleep(0.001)
        running.icon.publish(tray_view("three"))
        assert ViewUpdate(VIEW, "three", ()) == running.backend.next()
    assert "the panel fell over" in caplog.text


def test_a_slow_handler_blocks_neither_clicks_nor_the_screen() -> None:
    """Clicks return immediately and are handled in order."""

    release, handled = threading.Event(), queue.Queue[Action]()

    def slow(action: Action) -> None:
        release.wait(5)
        handled.put(action)

    with Running(slow) as running:
        running.backend.click(SHOW)
        running.backend.click(Action(Verb.QUIT))
        running.icon.publish(tray_view())
        running.backend.next()
        assert handled.empty()
        release.set()
        assert [SHOW, Action(Verb.QUIT)] == [handled.get(timeout=5), handled.get(timeout=5)]


def test_a_handler_that_fails_does_not_end_the_clicks(caplog: pytest.LogCaptureFixture) -> None:
    """The next click is handled."""

    handled: queue.Queue[Action] = queue.Queue()

    def handle(action: Action) -> None:
        if action == SHOW:
            raise RuntimeError("no browser")
        handled.put(action)

    with Running(handle) as running:
        running.backend.click(SHOW)
        running.backend.click(Action(Verb.QUIT))
        assert Action(Verb.QUIT) == handled.get(timeout=5)
    assert "a click failed" in caplog.text


def test_the_absence_of_a_host_is_reported() -> None:
    """So that the application can notify the user once."""

    told: queue.Queue[bool] = queue.Queue()
    with Running(on_host=told.put) as running:
        assert running.icon.host_present is None
        running.backend.host(False)
        assert told.get(timeout=5) is False
        assert running.icon.host_present is False


def test_what_on_ready_raises_is_raised_by_run() -> None:
    """An application that fails to start leaves no icon behind."""

    def fail() -> None:
        raise ValueError("no engine")

    tray = TrayIcon(lambda _: None, fail, make_backend=lambda _, click, host: FakeBackend(click, host))
    with pytest.raises(ValueError, match="no engine"):
        tray.run()
