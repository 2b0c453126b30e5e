"""Add or remove a workload in the user's config.toml without touching the rest of the file.

Comments and order are preserved (tomlkit). A change is made under a file lock, validated before it is written, and
written atomically: a reader sees the old file or the new one, and an invalid entry is never written.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trayapp.config.loader import ConfigError, Paths, load, parse, read_file
from trayapp.config.paths import private_dir

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

LOCK_LIMIT = 10.0  # s; an edit takes milliseconds, so a process that holds the lock for longer is stuck


class EditError(Exception):
    """Nothing was changed; the message says why."""


def add(paths: Paths, name: str, keys: Mapping[str, Any]) -> None:
    """Append `[workloads.NAME]`. Raises `EditError`, or `ConfigError` if the file or the entry is invalid."""
    with _locked(paths):
        if name in load(paths, {}).workloads:
            raise EditError(
                f"there is already a workload {name}. To sign in to it: amberlight reauthorize {name}; "
                f"to add another one in its place, first: amberlight remove {name}"
            )
        document = _document(paths.config_file)
        _workloads_table(document)[name] = _toml_table(keys)
        text = document.as_string()
        try:
            load(paths, {}, text=text)
        except ConfigError as error:  # the files were valid before, so every mistake is in the new entry
            raise ConfigError(tuple(replace(m, line=None) for m in error.mistakes)) from None
        _write(paths.config_file, text)


def remove(paths: Paths, name: str) -> bool:
    """Remove `[workloads.NAME]`; False if the user's file has none. Raises `EditError` and `ConfigError`."""
    with _locked(paths):
        document = _document(paths.config_file)
        workloads = document.get("workloads")
        if not isinstance(workloads, MutableMapping) or name not in workloads:
            return False
        del workloads[name]
        _write(paths.config_file, document.as_string())
        return True


def check_editable(paths: Paths) -> None:
    """Raise what `remove` would raise if the user's file can't be edited; change nothing."""
    _document(paths.config_file)


def in_site_file(paths: Paths, name: str) -> bool:
    """Whether the site-wide file has this workload, so that the user can't remove it. Raises `ConfigError`."""
    file = paths.site_config_file
    workloads = parse(file, read_file(file) or "").get("workloads")
    return isinstance(workloads, dict) and name in workloads


def _toml_table(keys: Mapping[str, Any]) -> Any:
    import tomlkit

    entry = tomlkit.table()
    for key, value in keys.items():
        entry[key] = list(value) if isinstance(value, tuple) else value
    return entry


def _workloads_table(document: TOMLDocument) -> Any:
    import tomlkit

    if "workloads" not in document:
        document["workloads"] = tomlkit.table(is_super_table=True)  # writes no [workloads] line, only [workloads.NAME]
    return document["workloads"]


def _document(file: Path) -> TOMLDocument:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    text = read_file(file) or ""
    parse(file, text)  # its messages are better than tomlkit's
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise EditError(f"{file} cannot be edited by a program: {error}. Edit it by hand") from None


@contextmanager
def _locked(paths: Paths) -> Iterator[None]:
    from filelock import FileLock, Timeout

    private_dir(paths.state_dir)
    try:
        with FileLock(paths.config_lock_file, timeout=LOCK_LIMIT, mode=0o600):
            yield
    except Timeout:
        raise EditError(f"another program holds {paths.config_lock_file}; try again when it is done") from None


def _write(file: Path, text: str) -> None:
    """Replace the file atomically, mode 0600. If it is a symbolic link, its target is replaced."""
    target = Path(os.path.realpath(file))
    private_dir(target.parent, tighten=False)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".config.", suffix=".toml")  # 0600 from the start
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
