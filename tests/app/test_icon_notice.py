"""The notification of a first start: shown once per installation, and only if somebody could see it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trayapp.app.icon_notice import FILE, IconNotice, keep, this_desktop, told
from trayapp.app.notifier import Notifier
from trayapp.app.warning_lines import WarningLines
from trayapp.core.first_start import KEY, Desktop, Told
from trayapp.core.presentation import Notice

XFCE, GNOME = Desktop("linux", "XFCE"), Desktop("linux", "ubuntu:GNOME")


class FakeNotifier(Notifier):
    """Keeps what is to be shown; `see` is the daemon that shows it."""

    def __init__(self) -> None:
        self.up: dict[str, tuple[Notice, Callable[[], None]]] = {}

    def show_until_seen(self, notice: Notice, seen: Callable[[], None]) -> None:
        self.up[notice.key] = notice, seen

    def withdraw(self, key: str) -> None:
        self.up.pop(key, None)

    def see(self) -> str:
        notice, seen = self.up[KEY]
        seen()
        return notice.body


class Run:
    """One run of the app in `directory`."""

    def __init__(self, directory: Path, desktop: Desktop = XFCE, *, muted: bool = False) -> None:
        self.notifier = FakeNotifier()
        self.lines: tuple[str, ...] = ()
        warnings = WarningLines(lambda lines: setattr(self, "lines", lines))
        self.notice = IconNotice(directory, self.notifier, warnings, lambda: muted, desktop)


def test_the_first_start_says_where_the_icon_is(tmp_path: Path) -> None:
    """Once: the next run says nothing."""

    run = Run(tmp_path)
    run.notice.tray_host(True)
    assert "Look for its icon in the panel." == run.notifier.see()
    again = Run(tmp_path)
    again.notice.tray_host(True)
    assert {} == again.notifier.up
    assert ((), ()) == (run.lines, again.lines)


def test_what_nobody_could_see_is_said_again(tmp_path: Path) -> None:
    """No daemon took it in the first run."""

    Run(tmp_path).notice.tray_host(True)
    second = Run(tmp_path)
    second.notice.tray_host(True)
    assert KEY in second.notifier.up


def test_without_a_tray(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A warning in each run, a notification once; both go when a tray comes, which has its own first time."""

    run = Run(tmp_path, GNOME)
    run.notice.tray_host(False)
    assert "AppIndicator" in run.notifier.see()
    assert "AppIndicator" in "".join(run.lines)
    assert 1 == len(caplog.records)
    run.notice.tray_host(True)
    assert () == run.lines
    assert "Look for its icon" in run.notifier.see()
    later = Run(tmp_path, GNOME)
    later.notice.tray_host(False)
    assert {} == later.notifier.up
    assert 1 == len(later.lines)


def test_muted_notifications_stay_muted(tmp_path: Path) -> None:
    """And it isn't taken for said."""

    run = Run(tmp_path, muted=True)
    run.notice.tray_host(True)
    assert {} == run.notifier.up
    assert frozenset() == told(tmp_path)


def test_a_mark_that_cannot_be_kept_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The disk may be full; nothing else happens."""

    (tmp_path / FILE).mkdir()
    keep(tmp_path, Told.ICON)
    assert "will be repeated at the next one" in caplog.text
    assert frozenset() == told(tmp_path)


def test_marks_are_kept_together(tmp_path: Path) -> None:
    """In a private file."""

    for word in Told:
        keep(tmp_path, word)
    assert set(Told) == told(tmp_path)
    assert os.name != "posix" or 0o600 == (tmp_path / FILE).stat().st_mode & 0o777


def test_the_desktop_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """By XDG_CURRENT_DESKTOP, which may be missing."""

    monkeypatch.setenv("XDG_CURRENT_DESKTOP", "ubuntu:GNOME")
    assert this_desktop().is_gnome
    monkeypatch.delenv("XDG_CURRENT_DESKTOP")
    assert not this_desktop().is_gnome
    assert sys.platform == this_desktop().platform
