"""What undoing a take-over needs, in a private file: whose workload it was, and the client entries before it.

There is no login in it and no key of ours. An entry of a client may hold a key of the person's, so only they can read it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from trayapp.clients import files
from trayapp.external.places import TAKE_OVERS
from trayapp.system.private_files import NotPrivateError, write_private

log = logging.getLogger(__name__)

SIZE_MAX = 64 << 20  # bytes; a file of a client may have changed as a whole


@dataclass(frozen=True, slots=True)
class Patch:
    """The way back from a text that we wrote: what stood in the place of one stretch of it."""

    digest: str  # of the text that we wrote
    start: int
    length: int  # characters of the stretch
    text: str = field(repr=False)

    @classmethod
    def between(cls, before: str, after: str) -> Patch:
        """The way from `after` back to `before`."""
        start = _common(before, after)
        end = _common(before[start:][::-1], after[start:][::-1])
        return cls(digest(after), start, len(after) - start - end, before[start : len(before) - end])

    def undone(self, text: str) -> str | None:
        """The text before ours; None if this is no longer ours."""
        if digest(text) != self.digest:
            return None
        return text[: self.start] + self.text + text[self.start + self.length :]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a client that went to the other program's proxy. `patch`: once it is ours, if it's alone in that."""

    client: str
    file: str
    name: str
    before: Any = field(repr=False)
    moved: bool = False
    patch: Patch | None = None


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A workload that was another program's. `owner` and `theirs` name it there; `url` is the server's address, and
    `client_url` that of its proxy.

    `added`: it wasn't configured here before. `ran`: it ran there.
    """

    owner: str
    theirs: str
    url: str
    client_url: str
    added: bool
    ran: bool
    entries: tuple[Entry, ...] = ()


class _DamagedError(files.FileError):
    pass


class Records:
    """The file. Its methods read and write it: call them in a thread."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / TAKE_OVERS

    def all(self) -> dict[str, TakenOver]:
        """By our name; nothing from a damaged file."""
        try:
            return self._read()
        except _DamagedError:
            log.warning("%s is damaged, so no take-over can be undone", self._file)
        except files.FileError as error:
            log.warning("no take-over can be undone: %s", error)
        return {}

    def _read(self) -> dict[str, TakenOver]:
        """Raises `FileError`."""
        if not self._file.exists():
            return {}
        text = files.read(self._file, SIZE_MAX).text
        try:
            return {str(name): _taken_over(each) for name, each in json.loads(text).items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise _DamagedError(f"{self._file} is damaged") from None

    def _known(self) -> dict[str, TakenOver]:
        """The records to write back. A damaged file is moved aside. Raises `FileError`."""
        try:
            return self._read()
        except _DamagedError:
            aside = self._file.with_name(f"{self._file.name}.damaged")
            try:
                self._file.replace(aside)
            except OSError as error:
                raise files.FileError(f"{self._file} is damaged and can't be moved aside: {error.strerror}") from None
            log.warning("%s was damaged and is now %s; what it recorded can no longer be undone", self._file, aside)
            return {}

    def get(self, name: str) -> TakenOver | None:
        return self.all().get(name)

    def keep(self, name: str, record: TakenOver | None) -> None:
        """Remember it, or with None forget it. Raises `FileError`; a file that can't be read is never replaced."""
        known = self._known()
        if record is None and known.pop(name, None) is None:
            return
        if record is not None:
            known[name] = record
        try:
            text = json.dumps({each: asdict(there) for each, there in known.items()}, indent=1, default=str)
            write_private(self._file, text)
        except OSError as error:
            raise files.FileError(f"{self._file} can't be written: {error.strerror}") from None
        except NotPrivateError as error:
            raise files.FileError(str(error).rstrip(".")) from None

    def rename(self, name: str, new: str) -> None:
        """It has another name here. Raises `FileError`."""
        if (record := self.get(name)) is not None:
            self.keep(new, record)
            self.keep(name, None)


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # comparing slices is much faster than comparing characters
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _taken_over(fields: Mapping[str, Any]) -> TakenOver:
    """One as it's remembered. Raises `KeyError` or `TypeError`."""
    texts = {key: str(fields[key]) for key in ("owner", "theirs", "url", "client_url")}
    entries = tuple(_entry(each) for each in fields["entries"])
    return TakenOver(**texts, added=bool(fields["added"]), ran=bool(fields["ran"]), entries=entries)


def _entry(fields: Mapping[str, Any]) -> Entry:
    client, file, name = (str(fields[key]) for key in ("client", "file", "name"))
    made = Entry(client, file, name, fields["before"], bool(fields["moved"]))
    patch = fields.get("patch")
    if patch is None:
        return made
    kept = Patch(str(patch["digest"]), int(patch["start"]), int(patch["length"]), str(patch["text"]))
    return replace(made, patch=kept)
