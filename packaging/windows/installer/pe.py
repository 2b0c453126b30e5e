"""What a Windows program or library needs and where it comes from: just enough of the PE format (Microsoft's specification).

Used on Linux, where the programs were frozen, to see that a delivery holds everything it needs and nothing of Wine.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

WINE_MARK = b"Wine builtin DLL"  # Wine writes it behind the DOS header of its own libraries, or "Wine placeholder DLL"
PLACEHOLDER_MARK = b"Wine placeholder DLL"
PE32_PLUS = 0x20B
SECTION_SIZE, DESCRIPTOR_SIZE = 40, 20
IMPORTS, DELAYED_IMPORTS = 1, 13  # data directories
GUI, CONSOLE = 2, 3  # subsystems


@dataclass(frozen=True, slots=True)
class Image:
    """One PE file. `imports` are the names of the libraries, in lower case, without those that are loaded lazily."""

    imports: frozenset[str]
    subsystem: int
    wine: bool


class NotPeError(ValueError):
    """It isn't a 64-bit PE file."""


def read(path: Path) -> Image:
    """Parse a file. Raises `NotPeError`."""
    data = path.read_bytes()
    try:
        return _parse(data)
    except (struct.error, IndexError) as error:
        raise NotPeError(f"{path.name}: {error}") from None


def _parse(data: bytes) -> Image:
    if data[:2] != b"MZ":
        raise NotPeError("no DOS header")
    (header,) = struct.unpack_from("<I", data, 0x3C)
    if data[header : header + 4] != b"PE\0\0":
        raise NotPeError("no PE header")
    sections, optional_size = struct.unpack_from("<H12xH", data, header + 6)
    optional = header + 24
    (magic,) = struct.unpack_from("<H", data, optional)
    if magic != PE32_PLUS:
        raise NotPeError("not for 64 bits")
    (subsystem,) = struct.unpack_from("<H", data, optional + 68)
    (directories,) = struct.unpack_from("<I", data, optional + 108)
    table = [
        struct.unpack_from("<III", data, optional + optional_size + number * SECTION_SIZE + 12)
        for number in range(sections)
    ]
    imports: frozenset[str] = frozenset()
    if directories > IMPORTS:
        (address,) = struct.unpack_from("<I", data, optional + 112 + 8 * IMPORTS)
        imports = frozenset(_names(data, table, address)) if address else imports
    wine = data[0x40:].startswith((WINE_MARK, PLACEHOLDER_MARK))
    return Image(imports, subsystem, wine)


def _names(data: bytes, sections: list[tuple[int, int, int]], address: int) -> list[str]:
    """The library names of an import table, which ends with a descriptor of zeros."""
    found: list[str] = []
    at = _offset(sections, address)
    while True:
        *_, name, _ = struct.unpack_from("<5I", data, at)
        if not name:
            return found
        begin = _offset(sections, name)
        found.append(data[begin : data.index(b"\0", begin)].decode("ascii").lower())
        at += DESCRIPTOR_SIZE


def _offset(sections: list[tuple[int, int, int]], address: int) -> int:
    """Where a virtual address is in the file; a section is (address, size in the file, offset)."""
    for begin, size, offset in sections:
        if begin <= address < begin + size:
            return offset + address - begin
    raise NotPeError(f"address {address:#x} is in no section")
