"""How a new private file is made on Windows, over a library that records its calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trayapp.system.windows_security import WindowsSecurity

GENERIC_WRITE, CREATE_NEW, OPEN_REPARSE_POINT = 0x40000000, 1, 0x200000
FAILED = -1 & (1 << 64) - 1  # INVALID_HANDLE_VALUE


class Library:
    """Any function; CreateFileW answers with this handle."""

    def __init__(self, handle: int) -> None:
        self.calls: list[tuple[str, Any]] = []
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> int:
            self.calls.append((name, arguments))
            return self._handle if name == "CreateFileW" else 1

        return Function(function)


class Function:
    """What ctypes gives: it has types, which can be set."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.restype: Any = None
        self.argtypes: Any = None

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)


def security(kernel32: Library) -> WindowsSecurity:
    made = WindowsSecurity(Library(0), kernel32)
    made.__dict__["_user"] = "S-1-5-21-1-2-3-1001"
    return made


def test_a_file_is_made_in_no_other_place(tmp_path: Path) -> None:
    """Only a new one, with its access list from the start; a link is taken for what is there, and isn't followed."""

    kernel32 = Library(handle=7)
    security(kernel32).make_file(tmp_path / "keys.json")
    (path, rights, _, attributes, how, flags, _), closed = (arguments for _, arguments in kernel32.calls)
    assert (str(tmp_path / "keys.json"), GENERIC_WRITE, CREATE_NEW) == (path, rights, how)
    assert attributes is not None
    assert flags & OPEN_REPARSE_POINT
    assert (7,) == closed


def test_what_is_refused_is_an_error(tmp_path: Path) -> None:
    """And no handle is closed that isn't one."""

    kernel32 = Library(handle=FAILED)
    with pytest.raises(OSError, match=r"keys\.json"):
        security(kernel32).make_file(tmp_path / "keys.json")
    assert ["CreateFileW"] == [name for name, _ in kernel32.calls]
