"""Keeping `server.json` in place: when it is written again, and what is announced and said meanwhile."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from trayapp.app.server_file import TRY_AGAIN, ServerFile
from trayapp.core.model import Moment
from trayapp.server import serverfile
from trayapp.server.server import LoopbackServer


@dataclass
class Kept:
    """A file that is kept, in its first or second place, and what others heard of it."""

    root: Path
    server: LoopbackServer
    announced: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    passes: list[bool] = field(default_factory=list)
    full: bool = False
    at: float = 100.0

    def __post_init__(self) -> None:
        places = (self.root / "run", self.root / "state" / "run")
        self.file = ServerFile(places, self._announce, self.warnings.append, lambda: self.passes.append(True))

    def _announce(self, place: Path, problem: str) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.problems.append(problem)
        self.announced.append(place)

    def start(self) -> None:
        self.file.keep(self.server, self._now())

    def after(self, seconds: float) -> None:
        self.at += seconds
        self.file.passes(self._now())

    def _now(self) -> Moment:
        return Moment(self.at, self.at, self.at)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    server = LoopbackServer(port=0, runtime_dir=tmp_path / "unused", version="1", routes=[])
    await server.start()
    kept = Kept(tmp_path, server)
    yield kept
    await kept.file.close()
    await server.close()


async def test_an_announcement_that_fails_is_repeated(kept: Kept) -> None:
    """The lock file is on a full disk, the runtime directory isn't: after a while both are right, and stay so."""

    kept.full = True
    kept.start()
    assert serverfile.read(kept.root / "run") is not None
    kept.full = False
    kept.after(TRY_AGAIN / 2)
    assert [] == kept.announced
    kept.after(TRY_AGAIN / 2)
    kept.after(TRY_AGAIN)
    assert ([kept.root / "run"], []) == (kept.announced, kept.warnings)


async def test_a_file_that_cannot_be_written_is_tried_again_and_said_once(kept: Kept) -> None:
    """And the sentence goes when it is written; whichever place takes it is announced."""

    (kept.root / "run").write_text("in the way")
    (kept.root / "state").write_text("in the way")
    kept.start()
    kept.after(TRY_AGAIN)
    kept.after(TRY_AGAIN)
    (warning,) = kept.warnings
    assert warning.startswith(f"{kept.root / 'run'} isn't a directory")
    (kept.root / "state").unlink()
    kept.after(TRY_AGAIN / 2)
    assert [warning] == kept.warnings
    kept.after(TRY_AGAIN / 2)
    assert [warning, ""] == kept.warnings
    assert [kept.root / "state" / "run"] == kept.announced


async def test_after_the_end_nothing_is_written(kept: Kept) -> None:
    """The server has removed its file by then."""

    kept.start()
    await kept.file.close()
    await kept.server.close()
    kept.after(TRY_AGAIN)
    assert not (kept.root / "run" / "server.json").exists()


async def test_another_server_takes_the_place_of_the_file(kept: Kept, tmp_path: Path) -> None:
    """The file names the new one, also after the old one was closed; it is announced again."""

    kept.start()
    other = LoopbackServer(port=0, runtime_dir=tmp_path / "unused", version="1", routes=[])
    await other.start()
    kept.file.keep(other, Moment(kept.at, kept.at, kept.at))
    await kept.server.close()
    found = serverfile.read(kept.root / "run")
    assert found is not None
    assert (other.url, 2) == (found.url, len(kept.announced))
    await other.close()


async def test_without_a_server_the_reason_is_announced(kept: Kept) -> None:
    """No file is written meanwhile; a full disk is no reason to fail."""

    kept.full = True
    kept.file.missing("unseen")
    kept.full = False
    kept.file.missing("No port can be used.")
    kept.after(TRY_AGAIN)
    assert (["No port can be used."], None) == (kept.problems, serverfile.read(kept.root / "run"))
    kept.start()
    assert ["No port can be used.", ""] == kept.problems
