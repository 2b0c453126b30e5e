"""Add or remove workloads in the user's config.toml without touching the rest of the file.

A new workload is appended as text and one is removed by tomlkit, so comments, order, line endings and a byte order mark
stay. A change is made under a file lock, validated before it is written, and written atomically: a reader sees the old
file or the new one, and an invalid entry is never written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trayapp.config.loader import Config, ConfigError, Paths, load, parse, read_file
from trayapp.config.toml_values import value_text
from trayapp.system.plain_files import within
from trayapp.system.private_files import NotPrivateError, errors_name, private_directory, replace_file

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

LOCK_LIMIT = 10.0  # s; an edit takes milliseconds, so a process that holds the lock for longer is stuck
MARK = "\ufeff"  # byte order mark, as some editors of Windows write it
NONE_LEFT = "[workloads]"  # a file without any text looks like one whose writing was interrupted


class EditError(Exception):
    """Nothing was changed; the message says why."""


def add(paths: Paths, name: str, keys: Mapping[str, Any]) -> None:
    """Append `[workloads.NAME]`. Raises `EditError`, `OSError`, or `ConfigError` if the file or the entry is invalid."""
    add_all(paths, {name: keys})


def add_all(paths: Paths, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Append a table for each entry (name → keys), all of them or none. Raises what `add` raises."""
    with _locked(paths):
        known = limited_load(paths).workloads
        for name in entries:
            if name in known:
                raise EditError(
                    f"there is already a workload {name}. To sign in to it: amberlight reauthorize {name}; "
                    f"to add another one in its place, first: amberlight remove {name}"
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


def remove(paths: Paths, name: str) -> bool:
    """Remove `[workloads.NAME]`; False if the user's file has none. Raises `EditError`, `ConfigError` and `OSError`."""
    with _locked(paths):
        old = _UserFile.read(paths.config_file)
        document = _document(old)
        workloads = document.get("workloads")
        if not isinstance(workloads, MutableMapping) or name not in workloads:
            return False
        del workloads[name]
        text = document.as_string()
        old.replace(text if text.strip() else NONE_LEFT + _line_end(old.text))
        return True


def check_editable(paths: Paths) -> None:
    """Raise what `remove` would raise if the user's file can't be edited; change nothing."""
    _document(_UserFile.read(paths.config_file))


def in_site_file(paths: Paths, name: str) -> bool:
    """Whether the site-wide file has this workload, so that the user can't remove it. Raises `ConfigError`."""
    file = paths.site_config_file
    workloads = parse(file, within(file, lambda: read_file(file)) or "").get("workloads")
    return isinstance(workloads, dict) and name in workloads


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
    end = _line_end(text)
    parts = [text, end if text and not text.endswith("\n") else ""]
    for name, keys in entries.items():
        parts += [end if any(parts) else "", f"[workloads.{name}]{end}"]
        parts += [f"{key} = {value_text(value)}{end}" for key, value in keys.items()]
    return "".join(parts)


def _line_end(text: str) -> str:
    """How the lines of this text end; that of the first counts."""
    return "\r\n" if text[: text.find("\n") + 1].endswith("\r\n") else "\n"


def _is_inline(text: str) -> bool:
    """Whether the table of all workloads is an inline one, to which nothing can be appended."""
    try:
        parse(Path(), f"{text}\n[workloads.{'x' * 64}]")  # longer than any valid name, so it isn't there yet
    except ConfigError:
        return True
    return False


def _document(old: _UserFile) -> TOMLDocument:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    parse(old.file, old.text)  # its messages are better than tomlkit's
    try:
        return tomlkit.parse(old.text)
    except TOMLKitError as error:
        raise EditError(f"{old.file} cannot be edited by a program: {error}. Edit it by hand") from None


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
    try:
        with errors_name(file):
            private_directory(target.parent, shared=True)
            replace_file(target, text)
    except NotPrivateError as error:
        raise EditError(str(error)) from None
