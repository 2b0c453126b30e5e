"""Writing a client's file, and undoing it: the first backup is kept, so that the last `disconnect` can put it back.

What we wrote is remembered by its digest. If nobody else has changed the file since, taking our last entry out restores
the file byte for byte, or deletes it if it was ours alone; otherwise only our entries are taken out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trayapp.clients import files
from trayapp.clients.connections import own_entries
from trayapp.clients.edits import EditError, servers
from trayapp.clients.files import FileContents, FileError
from trayapp.clients.locks import others_lock
from trayapp.clients.table import Client
from trayapp.system.plain_files import within
from trayapp.system.private_files import NotPrivateError, private_directory, replace_file, write_private

LOCK_LIMIT = 10.0  # s; a change takes milliseconds
RECORD = "connected.json"


@dataclass(frozen=True, slots=True)
class _Written:
    """What is remembered of a file: the digest of what we wrote last, and the backup of what was there before us."""

    digest: str
    backup: str | None  # None with `made`: there was no file; without: it can't be put back as a whole
    made: bool = False
    client: str = ""  # whose file it is; empty: written by an earlier version
    entries: tuple[str, ...] | None = None  # those of ours in it that we wrote; None: an earlier version wrote, too


def read(client: Client, file: Path) -> FileContents:
    """The client's file; an empty text if there is none. Raises `FileError`."""
    try:
        return files.read(file)
    except FileError:
        if within(file, lambda: os.path.lexists(file)):  # a dangling link, a directory, a file that can't be read
            if within(file, file.is_symlink) and not within(file, file.exists):
                raise FileError(f"{file} is a link to a file that doesn't exist") from None
            raise
        return FileContents(file, b"", "")


class Changes:
    """Edits clients' files. `state_dir` is ours; `stamp` names a backup."""

    def __init__(self, state_dir: Path, stamp: Callable[[], str]) -> None:
        self._record = state_dir / RECORD
        self._stamp = stamp

    def apply(self, client: Client, file: Path, edit: Callable[[str], str], *, original: str | None = None) -> bool:
        """Write `edit(text)` for the file's text; False if that is what it says already.

        `original` is the text to go back to, where that isn't what is there now: its entries' own program has just taken
        them out. Raises `FileError` or `EditError`, both naming the file; then it is as it was.
        """
        with self._locked(), others_lock(file):
            old = read(client, file)
            try:
                after = edit(old.text)
                before, now = servers(client, old.text), servers(client, after)
                ours = own_entries(now)
            except EditError as error:
                raise EditError(f"{file}: {error}") from None
            if after == old.text:
                return False
            records = self._load()
            known = records.pop(str(file), None)
            last = {_digest(old.data)} if original is None else {_digest(old.data), _digest(original.encode())}
            unchanged = known is not None and known.digest in last
            if known is not None and unchanged and not ours and self._restored(client, file, old, known, after):
                self._save(records)
                return True
            private = any(each.key for each in ours)
            written = self._write(file, old, after, known if unchanged else None, fresh=known is None, private=private)
            if ours:
                by_us = {each.name for each in ours if now[each.name] != before.get(each.name)}
                entries = _entries(known, by_us, {each.name for each in ours})
                records[str(file)] = replace(written, client=client.name, entries=entries)
            if original is not None and known is None and written.backup is not None:
                _create(Path(written.backup), original)
            self._save(records)
            return True

    def written_files(self) -> dict[Path, str]:
        """The files with entries that we wrote, with the names of their clients (empty: an earlier version wrote)."""
        return {Path(file): each.client for file, each in self._load().items()}

    def wrote(self, file: Path) -> Callable[[str], bool]:
        """Whether an entry of ours in this file, by its name, was written by us and not by hand."""
        known = self._load().get(str(file))
        if known is None:
            return lambda name: False
        entries = known.entries
        return lambda name: entries is None or name in entries

    def _write(
        self, file: Path, old: FileContents, after: str, known: _Written | None, *, fresh: bool, private: bool
    ) -> _Written:
        digest = _digest(after.encode())
        if not old.data and not file.exists():
            _create(file, after)
            made = _Written(digest, None, made=True)
        else:
            backup = files.replace(old, after, self._stamp(), private=private, backups=self._backups(file))
            if known is None:
                made = _Written(digest, str(backup) if fresh else None)
            else:
                made = _Written(digest, known.backup, known.made)
                backup.unlink(missing_ok=True)  # the first one is kept
        if files.read(file).text != after:
            raise FileError(f"{file} has just been changed by another program; check it and try again")
        return made

    def _restored(self, client: Client, file: Path, old: FileContents, known: _Written, after: str) -> bool:
        """Whether the file was put back as it was before us, as nobody else has changed it."""
        if known.made:
            if servers(client, after):
                return False
            file.unlink()
            return True
        if known.backup is None:
            return False
        try:
            before = files.read(Path(known.backup))
            entries, taken = (
                servers(client, before.text),
                {each.name for each in own_entries(servers(client, old.text))},
            )
            kept = {name: entry for name, entry in entries.items() if name not in taken}  # the rest we had replaced
            if before.text != after and (own_entries(entries) or kept != servers(client, after)):
                return False
        except (FileError, EditError):
            return False
        files.replace(old, before.text, self._stamp(), backups=self._backups(file)).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            before.file.unlink()
        return True

    def _backups(self, file: Path) -> Path | None:
        """Where the backup goes: beside the file, but never into a repository, whose owner might commit it."""
        if not within(file, lambda: any((folder / ".git").exists() for folder in file.parents)):
            return None
        try:
            return private_directory(self._record.parent / "backups")
        except (OSError, NotPrivateError) as error:
            raise FileError(str(error)) from None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        lock = FileLock(self._record.with_suffix(".lock"), timeout=LOCK_LIMIT, mode=0o600)
        try:
            private_directory(self._record.parent)
            lock.acquire()
        except Timeout:
            raise FileError(f"another program has locked {lock.lock_file}; try again when it has finished") from None
        except (OSError, NotPrivateError) as error:
            raise FileError(str(error)) from None
        try:
            yield
        finally:
            lock.release()

    def _load(self) -> dict[str, _Written]:
        """What is remembered; a damaged file means nothing, and then only our entries are taken out."""
        try:
            data = json.loads(files.read(self._record, 1 << 20).text)
            return {str(file): _known(each) for file, each in data.items()}
        except (FileError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {}

    def _save(self, records: dict[str, _Written]) -> None:
        try:
            write_private(self._record, json.dumps({file: asdict(each) for file, each in records.items()}, indent=1))
        except (OSError, NotPrivateError) as error:
            raise FileError(str(error)) from None


def _known(fields: Mapping[str, Any]) -> _Written:
    """A file as it's remembered. Raises `KeyError` or `TypeError`."""
    entries = fields.get("entries")
    names = tuple(map(str, entries)) if isinstance(entries, list) else None
    client = str(fields.get("client", ""))
    return _Written(str(fields["digest"]), fields["backup"], bool(fields["made"]), client, names)


def _entries(known: _Written | None, by_us: Set[str], there: Set[str]) -> tuple[str, ...] | None:
    """The entries that we wrote, after a change that wrote some; None if nobody knows."""
    if known is not None and known.entries is None:
        return None
    before = set() if known is None else set(known.entries or ())
    return tuple(sorted((before & there) | by_us))


def _create(file: Path, text: str) -> None:
    """Make a new file, mode 0600, and its directory. Raises `FileError`."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(file, text)
    except (OSError, NotPrivateError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FileError(f"{file} can't be created: {reason}") from None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
