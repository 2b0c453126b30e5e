"""ToolHive's directories come, go and are replaced while they are watched, on a real file system."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.external.tree import Tree
from trayapp.app import external_owner
from trayapp.app.external_claims import Claims
from trayapp.app.external_owner import WatchedOwner

pytestmark = pytest.mark.linux("inotify")

LIMIT = 20.0  # s; far below the minute after which it would be looked at without a report


def move(directory: Path, to: Path) -> None:
    directory.rename(to)


def put(kind: str, at: Path) -> None:
    at.touch() if kind == "file" else at.symlink_to(at)


def remove(file: Path) -> None:
    file.unlink()


class Stage:
    """A watch of a user's ToolHive; `words` are the rows as they are shown."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.watched = WatchedOwner(tree.owner(), lambda: None, Claims())

    @property
    def words(self) -> dict[str, str]:
        return {name: view.external.word for name, view in self.watched.views.items() if view.external}

    async def until(self, holds: Callable[[], object]) -> None:
        until = time.monotonic() + LIMIT
        while not holds():
            assert time.monotonic() < until, f"gave up: {self.words}, {self.watched.problems}"
            await asyncio.sleep(0.01)

    async def shows(self, **words: str) -> None:
        wanted = {f"toolhive/{name}": word for name, word in words.items()}
        await self.until(lambda: self.words == wanted)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(Tree(tmp_path))
    task = asyncio.create_task(made.watched.run())
    yield made
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    made.watched.close()


async def test_directories_that_are_removed_and_made_again(stage: Stage) -> None:
    """The rows go and come back, each time."""

    for _ in range(2):
        stage.tree.add("a", "running", 4711)
        await stage.shows(a="running")
        shutil.rmtree(stage.tree.statuses)
        await stage.shows()
        stage.tree.status("a", "error", 4711)
        await stage.shows(a="error")
        shutil.rmtree(stage.tree.run_configs)
        await stage.shows()
        stage.tree.configure("a")
        await stage.shows(a="error")
        shutil.rmtree(stage.tree.run_configs.parent)
        shutil.rmtree(stage.tree.statuses.parent)
        await stage.shows()


@pytest.mark.parametrize("which", ["statuses", "run_configs"])
async def test_something_else_in_its_place(stage: Stage, which: str, tmp_path: Path) -> None:
    """A file, a link round in circles, and a link to a directory elsewhere, whose changes are seen."""

    stage.tree.add("a", "running", 4711)
    await stage.shows(a="running")
    directory: Path = getattr(stage.tree, which)
    elsewhere = tmp_path / "elsewhere"
    for kind in ("file", "loop"):
        move(directory, elsewhere)
        put(kind, directory)
        await stage.until(lambda: stage.watched.problems)
        remove(directory)
        move(elsewhere, directory)
        await stage.until(lambda: not stage.watched.problems)
        await stage.shows(a="running")
    move(directory, elsewhere)
    os.symlink(elsewhere, directory)
    await stage.shows(a="running")
    stage.tree.status("a", "auth_retrying", 4711)
    await stage.shows(a="auth_retrying")
    remove(directory)
    shutil.copytree(elsewhere, directory)
    stage.tree.add("a", "running", 4711)
    await stage.shows(a="running")


async def test_a_file_in_its_place_from_the_beginning(tmp_path: Path) -> None:
    """What takes its place is noticed, though nothing could be read before."""

    tree = Tree(tmp_path)
    tree.run_configs.parent.mkdir(parents=True)
    tree.run_configs.touch()
    stage = Stage(tree)
    task = asyncio.create_task(stage.watched.run())
    await stage.until(lambda: stage.watched.problems)
    tree.run_configs.unlink()
    tree.add("a", "running", 4711)
    await stage.shows(a="running")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    stage.watched.close()


async def test_a_directory_that_may_be_read_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its change of permissions is reported."""

    stage.tree.add("a", "running", 4711)
    await stage.shows(a="running")
    iterdir = Path.iterdir

    def refuses(path: Path) -> object:
        if path == stage.tree.run_configs:
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", refuses)
        stage.tree.run_configs.chmod(0)
        await stage.until(lambda: stage.watched.problems)
        stage.tree.status("a", "error", 4711)
    stage.tree.run_configs.chmod(0o700)
    await stage.shows(a="error")
    assert () == stage.watched.problems


async def test_a_mistake_of_ours_does_not_end_the_watching(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is; the next change is read."""

    def fails(*arguments: object) -> None:
        raise KeyError("CANARY")

    stage.tree.add("a", "running", 4711)
    await stage.shows(a="running")
    with monkeypatch.context() as patch:
        patch.setattr(external_owner, "external_view", fails)
        stage.tree.status("a", "starting", 4711)
        await asyncio.sleep(0.5)
    stage.tree.status("a", "error", 4711)
    await stage.shows(a="error")
