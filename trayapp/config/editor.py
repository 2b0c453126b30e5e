"""Edit the user's config.toml: add, change, rename and remove workloads, and change settings.

The command line, the API and the dashboard all edit through this module. Comments, order, line endings and a byte order
mark stay (`toml_edit.py`). A change is made under a file lock, validated before it is written, and written atomically: a
reader sees the old file or the new one, and nothing invalid is ever written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trayapp.config import toml_edit
from trayapp.config.described import Files, revision, workload_table
from trayapp.config.loader import Config, ConfigError, Paths, load, parse, read_file
from trayapp.config.settings import NAME, NAME_HELP
from trayapp.config.toml_edit import CannotEditError, Changes, line_end
from trayapp.config.toml_lines import Key
from trayapp.config.toml_values import value_text
from trayapp.system.plain_files import within
from trayapp.system.private_files import NotPrivateError, errors_name, private_directory, replace_file
from trayapp.system.shown_command import allow_changes

LOCK_LIMIT = 10.0  # s; an edit takes milliseconds, so a process that holds the lock for longer is stuck
MARK = "\ufeff"  # byte order mark, as some editors of Windows write it
NONE_LEFT = "[workloads]"  # a file without any text looks like one whose writing was interrupted


class EditError(Exception):
    """Nothing was changed; the message says why."""


class NameTakenError(EditError):
    """There is a workload of this name."""


class ChangedError(EditError):
    """Somebody else has changed what the edit was about."""


def add(paths: Paths, name: str, keys: Mapping[str, Any]) -> None:
    """Append `[workloads.NAME]`. Raises `EditError`, `OSError`, or `ConfigError` if the file or the entry is invalid."""
    add_all(paths, {name: keys})


def add_all(paths: Paths, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Append a table for each entry (name → keys), all of them or none. Raises what `add` raises."""
    with _locked(paths):
        known = limited_load(paths).workloads
        for name in entries:
            if name in known:
                raise NameTakenError(
                    f"a workload named {name} already exists. Sign in to it: amberlight reauthorize {name}. "
                    f"Change it: amberlight edit {name}"
                )
        old = _UserFile.read(paths.config_file)
        if isinstance(parse(old.file, old.text).get("workloads"), dict) and _is_inline(old.text):
            raise EditError(f"{old.file} has its workloads in one inline table (workloads = {{…}}). Edit it by hand")
        text = _appended(old.text, entries)
        try:
            limited_load(paths, text)
        except ConfigError as error:  # the files were valid before, so every mistake is in the new entries
            raise ConfigError(tuple(replace(m, line=None) for m in error.mistakes)) from None
        old.replace(text)


def change(paths: Paths, table: Key, changes: Changes, expected: str = "") -> bool:
    """Set keys of a table, or take them out (None); whether that changed anything.

    `expected` is the `revision` that the table had when the person looked at it. Raises what `add` raises, and
    `ChangedError`.
    """

    def edit(text: str, data: Mapping[str, Any]) -> str:
        if expected and revision(Files({}, data), table) != expected:
            raise ChangedError(f"[{'.'.join(table)}] has changed since you opened it; look at it again")
        return toml_edit.changed(text, table, changes)

    return _edit(paths, edit)


def replace_workload(paths: Paths, name: str, keys: Mapping[str, Any]) -> bool:
    """Give a workload these keys and no others. Raises what `change` raises."""

    def edit(text: str, data: Mapping[str, Any]) -> str:
        present = data.get("workloads", {}).get(name, {})
        return toml_edit.changed(text, workload_table(name), dict.fromkeys(present) | dict(keys))

    return _edit(paths, edit)


def replace_block(paths: Paths, name: str, old_block: str, new_block: str) -> bool:
    """Replace the lines of `[workloads.NAME]` as they were read by `workload_block`. Raises what `change` raises."""

    def edit(text: str, data: Mapping[str, Any]) -> str:
        span = toml_edit.block(text, workload_table(name))
        if span is None or text[slice(*span)] != old_block:
            raise ChangedError(f"[workloads.{name}] has changed since you opened it; look at it again")
        made = new_block.replace("\r\n", "\n").replace("\n", line_end(text))
        return text[: span[0]] + made + text[span[1] :]

    return _edit(paths, edit)


def block_problem(paths: Paths, name: str, old_block: str, new_block: str) -> str:
    """Why these lines can't be its entry: the mistakes, a line each; empty if they can. Raises `OSError`."""
    text = _UserFile.read(paths.config_file).text
    span = toml_edit.block(text, workload_table(name))
    if span is None or text[slice(*span)] != old_block:
        return ""  # writing them says so
    made = text[: span[0]] + new_block + text[span[1] :]
    try:
        before, after = parse(paths.config_file, text), parse(paths.config_file, made)
    except ConfigError as error:
        return str(error)
    del before["workloads"][name]
    if after.get("workloads", {}).pop(name, None) is None or before != after:
        return (
            f"Change only [workloads.{name}] here. To rename it: amberlight rename {name} NEW. "
            "For everything else: amberlight config edit"
        )
    return text_problem(paths, made)


def text_problem(paths: Paths, text: str) -> str:
    """Why this can't be the user's file: the mistakes, a line each; empty if it can. Raises `OSError`."""
    try:
        limited_load(paths, text.removeprefix(MARK))
    except ConfigError as error:
        return str(error)
    return ""


def file_text(paths: Paths) -> str:
    """The user's file; empty if there is none. Raises `ConfigError` if it can't be read."""
    return _text(paths.config_file)


def replace_text(paths: Paths, old_text: str, new_text: str) -> bool:
    """Replace the whole file, as it was read by `file_text`. Raises what `change` raises."""
    with _locked(paths):
        old = _UserFile.read(paths.config_file)
        if old.mark + old.text != old_text:
            raise ChangedError(f"{old.file} has changed since you opened it; look at it again")
        new = new_text.removeprefix(MARK)
        if new == old.text:
            return False
        limited_load(paths, new)
        old.replace(new if new.strip() else NONE_LEFT + line_end(old.text))
        return True


def workload_block(paths: Paths, name: str) -> str | None:
    """The lines of `[workloads.NAME]`; None if it isn't written as one table in the user's file. Raises `ConfigError`."""
    text = _UserFile.read(paths.config_file).text
    parse(paths.config_file, text)
    span = toml_edit.block(text, workload_table(name))
    return None if span is None else text[slice(*span)]


def rename(paths: Paths, name: str, new: str) -> None:
    """Give `[workloads.NAME]` another name. Raises what `change` raises, and `NameTakenError`."""
    if not NAME.fullmatch(new):
        raise EditError(NAME_HELP)

    def edit(text: str, data: Mapping[str, Any]) -> str:
        if new in limited_load(paths).workloads:
            raise NameTakenError(f"a workload named {new} already exists")
        return toml_edit.renamed(text, workload_table(name), new)

    _edit(paths, edit)


def remove(paths: Paths, *names: str) -> bool:
    """Remove `[workloads.NAME]` of each; False if the user's file has none. Raises `EditError`, `ConfigError`, `OSError`."""

    def edit(text: str, data: Mapping[str, Any]) -> str:
        workloads = data.get("workloads")
        there = [name for name in names if name in workloads] if isinstance(workloads, Mapping) else []
        if not there:
            return text
        left = toml_edit.without(text, *map(workload_table, there))
        return left if left.strip() else NONE_LEFT + line_end(text)

    return _edit(paths, edit, validate=False)  # also out of a file with mistakes


def check_editable(paths: Paths) -> None:
    """Raise what an edit would raise if the user's file can't be edited; change nothing."""
    old = _UserFile.read(paths.config_file)
    parse(old.file, old.text)
    _refuse_read_only(old.file)
    with _worded(old.file):
        toml_edit.check(old.text)


def in_site_file(paths: Paths) -> frozenset[str]:
    """The workloads of the site-wide file, which the user can't remove. Raises `ConfigError`."""
    file = paths.site_config_file
    workloads = parse(file, within(file, lambda: read_file(file)) or "").get("workloads")
    return frozenset(workloads) if isinstance(workloads, dict) else frozenset()


def limited_load(paths: Paths, text: str | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """`loader.load` for commands, which nothing else would keep from waiting for a share that is gone."""
    return within(paths.config_file, lambda: load(paths, environ or {}, text=text))


@dataclass(frozen=True, slots=True)
class _UserFile:
    """The user's file as it was read; `text` is empty if there is none."""

    file: Path
    text: str  # without its byte order mark
    mark: str

    @classmethod
    def read(cls, file: Path) -> _UserFile:
        text = _text(file)
        return cls(file, text.removeprefix(MARK), MARK if text.startswith(MARK) else "")

    def replace(self, text: str) -> None:
        """Write the new text, unless another program has written meanwhile. Raises `EditError` and `OSError`."""
        if _text(self.file) != self.mark + self.text:
            raise EditError(f"{self.file} was changed by another program just now; try again")
        _write(self.file, self.mark + text)


def _text(file: Path) -> str:
    return within(file, lambda: read_file(file, keep_mark=True)) or ""


def _appended(text: str, entries: Mapping[str, Mapping[str, Any]]) -> str:
    """The text with a table for each entry at its end."""
    end = line_end(text)
    parts = [text, end if text and not text.endswith("\n") else ""]
    for name, keys in entries.items():
        parts += [end if any(parts) else "", f"[workloads.{name}]{end}"]
        parts += [f"{key} = {value_text(value)}{end}" for key, value in keys.items()]
    return "".join(parts)


def _is_inline(text: str) -> bool:
    """Whether the table of all workloads is an inline one, to which nothing can be appended."""
    try:
        parse(Path(), f"{text}\n[workloads.{'x' * 64}]")  # longer than any valid name, so it isn't there yet
    except ConfigError:
        return True
    return False


def _edit(paths: Paths, edit: Callable[[str, Mapping[str, Any]], str], *, validate: bool = True) -> bool:
    """Rewrite the user's file by `edit(text, data)`; whether anything has changed."""
    with _locked(paths):
        old = _UserFile.read(paths.config_file)
        data = parse(old.file, old.text)  # its messages are better than tomlkit's
        with _worded(old.file):
            text = edit(old.text, data)
        if text == old.text:
            return False
        if validate:
            limited_load(paths, text)
        old.replace(text)
        return True


@contextmanager
def _worded(file: Path) -> Iterator[None]:
    try:
        yield
    except CannotEditError as error:
        raise EditError(f"{file} can't be edited by a program: {error}. Edit it by hand") from None


@contextmanager
def _locked(paths: Paths) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(paths.config_lock_file, timeout=LOCK_LIMIT, mode=0o600)
    try:
        private_directory(paths.state_dir)
        lock.acquire()
    except NotPrivateError as error:
        raise EditError(str(error)) from None
    except Timeout:
        raise EditError(f"another program holds {paths.config_lock_file}; try again when it is done") from None
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(paths.config_lock_file)) from None
    try:
        yield
    finally:
        lock.release()


def _write(file: Path, text: str) -> None:
    """Replace the file atomically, mode 0600. If it is a symbolic link, its target is replaced."""
    target = Path(os.path.realpath(file))
    _refuse_read_only(file)
    try:
        with errors_name(file):
            private_directory(target.parent, shared=True)
            replace_file(target, text)
    except NotPrivateError as error:
        raise EditError(str(error)) from None


def _refuse_read_only(file: Path) -> None:
    """A file that its owner has made read-only is to stay as it is, although it could be replaced."""

    def is_read_only() -> bool:
        return os.path.lexists(file) and file.exists() and not file.stat().st_mode & stat.S_IWUSR

    if within(file, is_read_only):
        raise EditError(f"{file} is read-only. To allow changes: {allow_changes(str(file))}")
