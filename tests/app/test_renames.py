"""Unfinished moves of logins: on the disk before anything changes, and completed once, by whoever needs them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.small_disk import small_disk
from trayapp.app.renames import Renames
from trayapp.core.model import Trouble


class Parts:
    """Keyring, state.db and the rest; all that they are told is in `calls`."""

    def __init__(self, file: Path) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.trouble: Trouble | None = None
        self.file = file
        self.renames = self.again()

    def again(self) -> Renames:
        """As after a restart."""
        return Renames(self.file, self, self, lambda name, new: self.calls.append(("renamed", name, new)))

    async def move(self, name: str, new: str) -> Trouble | None:
        self.calls.append(("move", name, new))
        await asyncio.sleep(0)
        return self.trouble

    async def rename(self, name: str, new: str, *, resume: bool) -> None:
        self.calls.append(("journal", name, new, resume))


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path / "data" / "renames.json")


DONE = [("move", "a", "b"), ("journal", "a", "b", True), ("renamed", "a", "b")]


async def test_nothing_moves_before_the_configuration_has_the_new_name(parts: Parts) -> None:
    """The old name is in use until then; who reads the new one waits for the decision."""

    parts.renames.begin("a", "b", resume=True)
    assert parts.file.exists()
    parts.renames.configured(["a"])
    assert await parts.renames.complete("a") is None
    waiting = asyncio.create_task(parts.renames.complete("b"))
    await asyncio.sleep(0)
    assert [] == parts.calls
    parts.renames.commit()
    assert await waiting is None
    assert DONE == parts.calls
    assert not parts.file.exists()
    assert not parts.renames.concerns("a")


async def test_a_move_is_made_once(parts: Parts) -> None:
    """By the first of those who need it."""

    parts.renames.begin("a", "b", resume=True)
    parts.renames.commit()
    await asyncio.gather(*(parts.renames.complete(name) for name in ("a", "b", "a", "c")))
    assert DONE == parts.calls


async def test_what_is_abandoned_never_moves(parts: Parts) -> None:
    """Nor after a restart."""

    parts.renames.begin("a", "b", resume=True)
    parts.renames.abandon("a", "b")
    for renames in (parts.renames, parts.again()):
        assert await renames.complete("b") is None
    assert [] == parts.calls


@pytest.mark.parametrize(
    ("names", "ends"),
    [(["b"], ("a", "b")), (["a", "b"], ("a", "b")), ([], ("a", "b")), (["a"], ("b", "a"))],
)
async def test_after_a_crash_the_configuration_decides(parts: Parts, names: list[str], ends: tuple[str, str]) -> None:
    """Only if it has the old name alone does the login stay there, or return."""

    parts.renames.begin("a", "b", resume=False)
    renames = parts.again()
    renames.configured(names)
    assert [("renamed", *ends)] == parts.calls
    assert await renames.complete("a") is None
    assert ("move", *ends) == parts.calls[1]
    assert not parts.file.exists()


async def test_a_keyring_that_cannot_be_used_is_waited_for(parts: Parts) -> None:
    """The move is still to be made, also in the next run."""

    parts.trouble = Trouble.LOCKED
    parts.renames.begin("a", "b", resume=True)
    parts.renames.commit()
    for renames in (parts.renames, parts.again()):
        assert Trouble.LOCKED is await renames.complete("b")
        assert renames.concerns("a")
    parts.trouble = None
    assert await parts.again().complete("b") is None
    assert not parts.file.exists()


async def test_a_keyring_that_raises_is_one_that_failed(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    """And nothing is forgotten."""

    async def broken(name: str, new: str) -> Trouble | None:
        raise RuntimeError("canary")

    parts.move = broken  # type: ignore[method-assign]
    parts.renames.begin("a", "b", resume=True)
    parts.renames.commit()
    assert Trouble.FAILED is await parts.renames.complete("b")
    assert parts.file.exists()


async def test_a_full_disk_begins_nothing(tmp_path: Path) -> None:
    """What can't be recorded isn't begun."""

    with small_disk(tmp_path / "disk") as disk:
        parts = Parts(disk.path / "data" / "renames.json")
        parts.file.parent.mkdir(mode=0o700)
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            parts.renames.begin("a", "b", resume=True)
        assert not parts.renames.concerns("a")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"moves": 7}', '{"moves": [{"name": "a"}]}', "[" * 99_999])
async def test_a_damaged_record_is_none(parts: Parts, text: str) -> None:
    """The logins stay where they are."""

    parts.file.parent.mkdir(mode=0o700)
    parts.file.write_text(text)
    assert await parts.renames.complete("a") is None
    assert [] == parts.calls


async def test_several_moves(parts: Parts) -> None:
    """Each has a record of its own."""

    for name, new in (("a", "b"), ("c", "d")):
        parts.renames.begin(name, new, resume=False)
        parts.renames.commit()
    await parts.renames.complete("d")
    assert [{"name": "a", "new": "b", "resume": False}] == json.loads(parts.file.read_text())["moves"]
