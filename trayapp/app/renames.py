"""Renames of workloads: the login moves to the keyring's entries of the new name, and never has two owners.

What is to be moved is on the disk before config.toml changes, and until the old entries are erased. Meanwhile the login
of neither name is used: whoever reads one completes the move first. If the program ends in between, the next start reads
in config.toml which of the two names is right. Belongs to the engine's loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from trayapp.core.model import Trouble
from trayapp.engine.guards import from_keyring
from trayapp.system.plain_files import read_plain
from trayapp.system.private_files import NotPrivateError, write_private

log = logging.getLogger(__name__)

FILE_MAX = 1 << 20  # bytes


class MovingKeystore(Protocol):
    """What is needed of the keyring."""

    async def move(self, name: str, new: str) -> Trouble | None: ...


class MovingJournal(Protocol):
    """What is needed of state.db."""

    async def rename(self, name: str, new: str, *, resume: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Move:
    """From the entries of `name` to those of `new`. `resume`: it was paused only for this."""

    name: str
    new: str
    resume: bool


class Renames:
    """Unfinished moves. `moved` is called when one has been completed, and as soon as config.toml has the new name."""

    def __init__(
        self,
        file: Path,
        keystore: MovingKeystore,
        journal: MovingJournal,
        renamed: Callable[[str, str], None],
    ) -> None:
        """`renamed` passes the name on to what is kept in memory and in files of its own; it may be called again."""
        self._file = file
        self._keystore = keystore
        self._journal = journal
        self._renamed = renamed
        self._moves: list[Move] | None = None  # None: not read yet
        self._preparing: set[Move] = set()  # config.toml still has the old name, and the login is in use
        self._turn = asyncio.Lock()
        self._decided = asyncio.Event()  # what is being prepared has been committed or abandoned

    def begin(self, name: str, new: str, *, resume: bool) -> None:
        """Write down what is to be moved, before anything changes. Raises `OSError` or `NotPrivateError`.

        Nothing moves in this run before `commit`.
        """
        move = Move(name, new, resume)
        self._write([*self._read(), move])
        self._preparing.add(move)
        self._decided.clear()

    def commit(self) -> None:
        """config.toml has the new name."""
        self._preparing.clear()
        self._decided.set()

    def abandon(self, name: str, new: str) -> None:
        """Nothing has come of it: config.toml was not changed."""
        self.commit()
        self._write([each for each in self._read() if (each.name, each.new) != (name, new)])

    def concerns(self, name: str) -> bool:
        """Whether an unfinished move is from or to this name."""
        return any(name in (move.name, move.new) for move in self._read())

    def configured(self, names: Collection[str]) -> None:
        """These names are in config.toml now: the one of a move that is there is its end."""
        self._moves = [move if move in self._preparing else _directed(move, names) for move in self._read()]
        for move in self._active():
            self._renamed(move.name, move.new)

    def _active(self) -> list[Move]:
        return [move for move in self._read() if move not in self._preparing]

    async def complete(self, name: str) -> Trouble | None:
        """Before the login of `name` is read: complete the moves from or to it. What the keyring says if it can't be."""
        while any(name == move.new for move in self._preparing):  # config.toml was read before `commit`
            await self._decided.wait()
        async with self._turn:
            for move in [each for each in self._active() if name in (each.name, each.new)]:
                if (trouble := await self._complete(move)) is not None:
                    return trouble
        return None

    async def _complete(self, move: Move) -> Trouble | None:
        what = f"moving the login of {move.name} to {move.new}"
        if (trouble := await from_keyring(what, self._keystore.move(move.name, move.new))) is not None:
            return trouble
        await self._journal.rename(move.name, move.new, resume=move.resume)
        self._renamed(move.name, move.new)
        try:
            self._write([each for each in self._read() if each != move])
        except (OSError, NotPrivateError) as error:  # it is made once more then, and finds nothing to move
            log.warning("%s: %s", self._file, error)
            self._moves = [each for each in self._read() if each != move]
        log.info("%s is called %s now", move.name, move.new)
        return None

    def _read(self) -> list[Move]:
        if self._moves is None:
            self._moves = self._load()
        return self._moves

    def _load(self) -> list[Move]:
        try:
            data = json.loads(read_plain(self._file, FILE_MAX, follow=False))
            return [Move(str(each["name"]), str(each["new"]), each["resume"] is True) for each in data["moves"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            log.error("%s can't be read: %s", self._file, type(error).__name__)
            return []

    def _write(self, moves: list[Move]) -> None:
        if moves:
            write_private(self._file, json.dumps({"version": 1, "moves": [asdict(move) for move in moves]}) + "\n")
        else:
            self._file.unlink(missing_ok=True)
        self._moves = moves


def _directed(move: Move, names: Collection[str]) -> Move:
    """The move the other way round if config.toml still has, or has again, only the old name."""
    if move.name in names and move.new not in names:
        return Move(move.new, move.name, move.resume)
    return move
