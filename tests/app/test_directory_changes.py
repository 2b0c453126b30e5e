"""Directories that other programs write, on a real file system: also ones that don't exist yet."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trayapp.app import directory_changes
from trayapp.app.directory_changes import DirectoryChanges

pytestmark = pytest.mark.linux("inotify is Linux's")

LIMIT = 5.0  # s
QUIET = 0.1  # s in which nothing is reported


class Hits:
    """Counts the reports."""

    def __init__(self) -> None:
        self.count = 0
        self.event = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self.event.set()

    async def follows(self, action: Callable[[], object]) -> None:
        """The action is reported."""
        await self.settle()
        action()
        await asyncio.wait_for(self.event.wait(), LIMIT)
        await self.settle()

    async def does_not_follow(self, action: Callable[[], object]) -> None:
        """It isn't."""
        await self.settle()
        before = self.count
        action()
        await self.settle()
        assert before == self.count

    async def settle(self) -> None:
        await asyncio.sleep(QUIET)
        self.event.clear()


async def test_what_happens_in_a_directory_is_reported(tmp_path: Path) -> None:
    """Entries that come, change and go, and its own end; not what happens beside it, and no lock files."""

    status = tmp_path / "statuses"
    status.mkdir()
    hits = Hits()
    changes = DirectoryChanges(hits)
    assert changes.watch([status])
    assert not changes.watch([status])
    assert changes.reported
    await hits.follows(lambda: (status / "a.json").write_text("{}"))
    await hits.follows(lambda: (status / "a.json").rename(status / "b.json"))
    await hits.follows(lambda: (status / "b.json").unlink())
    await hits.does_not_follow(lambda: (tmp_path / "other").write_text("x"))
    await hits.does_not_follow(lambda: (status / "a.lock").write_text("x"))
    await hits.follows(lambda: shutil.rmtree(status))
    changes.close()
    changes.close()
    await hits.does_not_follow(status.mkdir)


async def test_a_directory_that_does_not_exist_yet(tmp_path: Path) -> None:
    """The nearest one on the way is watched, for the missing entry alone; each step is reported."""

    status = tmp_path / "toolhive" / "statuses"
    hits = Hits()
    changes = DirectoryChanges(hits)
    assert changes.watch([status])
    await hits.does_not_follow((tmp_path / "recently-used").touch)
    await hits.follows(status.parent.mkdir)
    assert changes.watch([status])
    await hits.does_not_follow((status.parent / "log").touch)
    await hits.follows(status.mkdir)
    assert changes.watch([status])
    await hits.follows((status / "a.json").touch)
    await hits.follows(lambda: shutil.rmtree(status.parent))
    assert changes.watch([status])
    await hits.follows(lambda: status.mkdir(parents=True))
    changes.close()


async def test_a_directory_behind_a_link(tmp_path: Path) -> None:
    """What is written there is reported, and so is a link that leads elsewhere."""

    for name in ("old", "new"):
        (tmp_path / name / "statuses").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "old")
    hits = Hits()
    changes = DirectoryChanges(hits)
    assert changes.watch([tmp_path / "link" / "statuses"])
    await hits.follows((tmp_path / "old" / "statuses" / "a").touch)

    def elsewhere() -> None:
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to(tmp_path / "new")

    await hits.follows(elsewhere)
    changes.watch([tmp_path / "link" / "statuses"])
    changes.close()


@pytest.mark.parametrize(
    "part", ["x" * 300, "x/" * 5000, "a\0b", "\ud800", "loop/x", "file/x", "forbidden/x", "forbidden"]
)
async def test_a_path_that_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Too long, impossible, round in circles, through a file, or through a directory that we may not enter."""

    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "forbidden").mkdir()
    stat = Path.stat

    def refuses(path: Path, **options: Any) -> Any:
        if "forbidden" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuses)
    hits = Hits()
    changes = DirectoryChanges(hits)
    good = tmp_path / "good"
    assert changes.watch([tmp_path / part, good])
    await hits.follows(good.mkdir)
    changes.watch([tmp_path / part, good])
    await hits.follows((good / "a").touch)
    changes.close()


async def test_a_directory_that_cannot_be_watched_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the system's limit for watches is reached: the caller looks by time then."""

    changes = DirectoryChanges(lambda: None)
    inotify = changes._inotify
    assert inotify is not None
    monkeypatch.setattr(inotify._libc, "inotify_add_watch", lambda *arguments: -1)
    assert changes.watch([tmp_path])
    assert not changes.reported
    changes.close()


async def test_without_inotify_nothing_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a loop can't wait for descriptors, as on Windows."""

    def missing() -> None:
        raise OSError("no inotify")

    with monkeypatch.context() as patch:
        patch.setattr(directory_changes, "Inotify", missing)
        changes = DirectoryChanges(lambda: None)
        assert not changes.watch([tmp_path])
        assert not changes.reported
        changes.close()

    def unable(*arguments: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", unable)
    assert not DirectoryChanges(lambda: None).reported
