"""Removing the builder's directories from the search path of a library (ELF, 64 bits, little-endian; elf(5)).

A Python that was compiled by hand names its directory in each of its libraries. On another machine, anyone who can create
that directory could choose what is loaded, so absolute paths are removed; those relative to the library ($ORIGIN) stay.
"""

from __future__ import annotations

import struct

MAGIC = b"\x7fELF\x02\x01"
LOAD, DYNAMIC = 1, 2  # kinds of segments
STRTAB, PATHS = 5, (15, 29)  # tags of the dynamic section: DT_STRTAB; DT_RPATH and DT_RUNPATH


def without_absolute_path(data: bytes) -> bytes:
    """The library with the removed entries closed up; anything but a 64-bit little-endian ELF is returned unchanged."""
    if not data.startswith(MAGIC):
        return data
    start, size = _segment(data, DYNAMIC)
    entries = list(struct.iter_unpack("<qQ", data[start : start + size]))
    strings = next((_place(data, value) for tag, value in entries if tag == STRTAB), None)
    if strings is None:
        return data
    kept = [e for e in entries if not (e[0] in PATHS and data[strings + e[1] : strings + e[1] + 1] == b"/")]
    table = b"".join(struct.pack("<qQ", *entry) for entry in kept).ljust(len(entries) * 16, b"\0")
    return data[:start] + table + data[start + len(table) :]


def _segments(data: bytes) -> list[tuple[int, int, int, int]]:
    """(kind, offset in the file, address in memory, size in the file) of each segment."""
    (first,) = struct.unpack_from("<Q", data, 0x20)
    step, count = struct.unpack_from("<HH", data, 0x36)
    rows = (struct.unpack_from("<IIQQQQ", data, first + number * step) for number in range(count))
    return [(kind, place, address, size) for kind, _, place, address, _, size in rows]


def _segment(data: bytes, wanted: int) -> tuple[int, int]:
    return next(((place, size // 16 * 16) for kind, place, _, size in _segments(data) if kind == wanted), (0, 0))


def _place(data: bytes, address: int) -> int:
    """The offset in the file of an address in memory. Raises ValueError."""
    for kind, place, begin, size in _segments(data):
        if kind == LOAD and begin <= address < begin + size:
            return place + address - begin
    raise ValueError(f"no segment holds the address {address:#x}")
