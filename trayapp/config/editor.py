"""Adding and removing a workload in the user's configuration file, which otherwise belongs to the user.

Comments and order stay as they are (tomlkit). A change is made under a file lock, checked before it is written, and
written as a whole: a reader sees the old file or the new one, and a bad entry is never written.
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

LOCK_LIMIT = 10.0  # s; an edit takes milliseconds, so somebody who holds the lock for longer is stuck


class EditError(Exception):
    """Nothing was changed; the message says why."""


def add(paths: Paths, name: str, keys: Mapping[str, Any]) -> None:
    """Append `[workloads.NAME]`. Raises `EditError`, or `ConfigError` when the file or the entry is not right."""
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
        except ConfigError as error:  # the files were right before, so it is all about the new entry
            raise ConfigError(tuple(replace(m, line=None) for m in error.mistakes)) from None
        _write(paths.config_file, text)


def remove(paths: Paths, name: str) -> bool:
    """Take `[workloads.NAME]` out; False if the user's file has none. Raises `EditError` and `ConfigError`."""
    with _locked(paths):
        document = _document(paths.config_file)
        workloads = document.get("workloads")
        if not isinstance(workloads, MutableMapping) or name not in workloads:
            return False
        del workloads[name]
        _write(paths.config_file, document.as_string())
        return True


def check_editable(paths: Paths) -> None:
    """Raise what `remove` would raise if the user's file cannot be edited; nothing is changed."""
    _document(paths.config_file)


def in_site_file(paths: Paths, name: str) -> bool:
    """Whether the site-wide file names this workload; then this user cannot remove it. Raises `ConfigError`."""
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
        document["workloads"] = tomlkit.table(is_super_table=True)  # no line of its own, only [workloads.NAME]
    return document["workloads"]


def _document(file: Path) -> TOMLDocument:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    text = read_file(file) or ""
    parse(file, text)  # its sentences are better than tomlkit's
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
    """Replace the file atomically, mode 0600. A symbolic link stays one: what it points to is replaced."""
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
