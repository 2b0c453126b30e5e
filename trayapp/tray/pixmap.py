"""The first icon needs neither drawing nor Pillow: it is a picture that zlib alone can open.

Also the form in which StatusNotifierItem wants pictures: width, height, and one byte each of alpha, red, green and blue.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from pathlib import Path

SIZES = (16, 22, 24, 32, 44, 48, 64)  # px: the sizes that panels ask for, single and double density
FIRST_PNG = Path(__file__).with_name("first.png")
APP_PNG = Path(__file__).with_name("app.png")

Pixmap = tuple[int, int, bytes]  # (iiay): width, height, ARGB in network order, not premultiplied


def from_rgba(size: int, rgba: bytes) -> Pixmap:
    """A square picture of `size` px from the bytes that Pillow gives."""
    data = bytearray(len(rgba))
    for target, source in enumerate((3, 0, 1, 2)):
        data[target::4] = rgba[source::4]
    return size, size, bytes(data)


def read_plain_png(raw: bytes) -> tuple[int, int, bytes]:
    """Width, height and RGBA bytes of a PNG that `art.plain_png` wrote: 8-bit RGBA, rows not filtered."""
    width, height, depth, kind = struct.unpack(">IIBB", raw[16:26])
    data, at = b"", 8
    while at < len(raw):
        (length,) = struct.unpack(">I", raw[at : at + 4])
        if raw[at + 4 : at + 8] == b"IDAT":
            data += raw[at + 8 : at + 8 + length]
        at += 12 + length
    rows, step = zlib.decompress(data), width * 4 + 1
    if (depth, kind) != (8, 6) or any(rows[y * step] for y in range(height)):
        raise ValueError("not a plain PNG: write it with `python -m trayapp.tray.art`")
    return width, height, b"".join(rows[y * step + 1 : (y + 1) * step] for y in range(height))


@lru_cache(maxsize=1)
def first() -> tuple[Pixmap, ...]:
    """The icon that is shown before anything is known, in all `SIZES`."""
    width, _, rgba = read_plain_png(FIRST_PNG.read_bytes())
    found, top = [], 0
    for size in SIZES:
        rows = (rgba[y * width * 4 : (y * width + size) * 4] for y in range(top, top + size))
        found.append(from_rgba(size, b"".join(rows)))
        top += size
    return tuple(found)
