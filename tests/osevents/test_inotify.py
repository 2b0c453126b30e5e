"""What the kernel reports of directories."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from trayapp.osevents.inotify import Inotify

pytestmark = pytest.mark.linux("inotify is Linux's")


def seen(inotify: Inotify) -> list[tuple[str, bool]]:
    select.select([inotify.descriptor], [], [], 1.0)
    return [(event.name, event.written) for event in inotify.events()]


def test_complete_files_are_told_from_other_events(tmp_path: Path) -> None:
    """Closed after writing, or moved here."""

    inotify = Inotify()
    try:
        inotify.watch([tmp_path])
        assert [] == list(inotify.events())
        (tmp_path / "ü").write_text("x")
        assert ("ü", True) == seen(inotify)[-1]
        (tmp_path / "ü").rename(tmp_path / "b")
        assert [("ü", False), ("b", True)] == seen(inotify)
        (tmp_path / "b").unlink()
        assert [("b", False)] == seen(inotify)
    finally:
        inotify.close()


def test_other_directories_take_the_place_of_the_old_ones(tmp_path: Path) -> None:
    """One that is gone, one that never was and one that stays."""

    inotify = Inotify()
    try:
        for name in ("old", "stays", "gone"):
            (tmp_path / name).mkdir()
        inotify.watch([tmp_path / "old", tmp_path / "stays", tmp_path / "gone"])
        (tmp_path / "gone").rmdir()
        assert "" in {name for name, _ in seen(inotify)}
        inotify.watch([tmp_path / "stays", tmp_path / "none"])
        list(inotify.events())
        (tmp_path / "old" / "x").write_text("")
        (tmp_path / "stays" / "y").write_text("")
        assert {"y"} == {name for name, _ in seen(inotify)}
    finally:
        inotify.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(inotify.descriptor)
