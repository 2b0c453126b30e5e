"""The icon as a tray host on Linux wants it, without Pillow: shapes that were drawn beforehand, mixed with a view's colours.

The law: a pixel is a sum. shapes.png says which share of each pixel shows a shape, 0 to 255; the shapes of one view never
take more than the whole pixel, and what they leave is the ground. So whole pictures are mixed at once: `translate`
multiplies the shares by a colour, integers of 10,676 bytes add them, and as no sum passes 255, no byte carries into the
next. A view in all sizes takes a millisecond or two.

shapes.png is grey, 8 bits, its rows not filtered, so that zlib alone can read it. A row is a shape: the pictures of it in
all `SIZES`, one after another, each from its upper left. The rows are: the outline, which is the alpha of every icon; for
each glyph that fills the icon, in the order of `Glyph`, what has the view's colour and what has the contrast to it; the same
for glyphs within a ring; each segment of a ring of one, of two, up to `RING_MOST`. `art.py` writes it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from trayapp.core.presentation import Colour, Glyph, IconView

SIZES = (16, 22, 24, 32, 44, 48, 64)  # px: the sizes that panels ask for, single and double density
PIXELS = sum(size * size for size in SIZES)
APP_PNG = Path(__file__).with_name("app.png")
SHAPES_PNG = Path(__file__).with_name("shapes.png")

GROUND = "#14161a"
WHITE = "#ffffff"
DARK = "#14161a"
FIRST_VIEW = IconView(Glyph.OPEN, Colour.BLUE)  # what is shown before anything is known

RING_MAX = 6  # segments
OUTLINE_ROW = 0  # numbers of rows
FILLING_ROWS = 1  # the first icon is among these: to unpack them all takes a third of a millisecond
WITHIN_ROWS = FILLING_ROWS + 2 * len(Glyph)
RING_ROWS = WITHIN_ROWS + 2 * len(Glyph)
SHAPE_COUNT = RING_ROWS + RING_MAX * (RING_MAX + 1) // 2
REGENERATE = "write it with `python -m trayapp.tray.art`"
TOUCHED_IS_WHOLE = b"\0" + b"\xff" * 255  # what the outline touches at all is a whole pixel, to be shared out

Pixmap = tuple[int, int, bytes]  # (iiay): width, height, ARGB in network order, not premultiplied


def contrast(colour: Colour) -> str:
    """What can be read on this colour: white on amber cannot."""
    return DARK if colour is Colour.AMBER else WHITE


@lru_cache(maxsize=4)  # states flutter between a few; a view is 43 kB
def pixmaps(view: IconView) -> tuple[Pixmap, ...]:
    """The icon in all `SIZES`; OSError or ValueError if shapes.png cannot be read."""
    layers = _layers(view)
    masks = shapes(packed_rows(SHAPES_PNG), {OUTLINE_ROW, *(row for row, _ in layers)})
    shares: dict[str, int] = {}
    for row, colour in layers:
        shares[colour] = shares.get(colour, 0) + int.from_bytes(masks[row], "big")
    remaining = int.from_bytes(masks[OUTLINE_ROW].translate(TOUCHED_IS_WHOLE), "big") - sum(shares.values())
    shares[GROUND] = shares.get(GROUND, 0) + remaining
    return _split_by_size(_blend(masks[OUTLINE_ROW], {colour: share.to_bytes(PIXELS, "big") for colour, share in shares.items()}))


def _layers(view: IconView) -> list[tuple[int, str]]:
    """The rows of shapes.png that make this view, each with its colour."""
    count = len(view.segments) if len(view.segments) <= RING_MAX else 0
    ring = RING_ROWS + count * (count - 1) // 2
    glyph = (WITHIN_ROWS if count else FILLING_ROWS) + 2 * list(Glyph).index(view.glyph)
    return [
        *((ring + i, colour.value) for i, colour in enumerate(view.segments[:count])),
        (glyph, view.colour.value),
        (glyph + 1, contrast(view.colour)),
    ]


def _blend(alpha: bytes, shares: dict[str, bytes]) -> bytes:
    """ARGB of all pixels, from the share that each colour has in them."""
    argb = bytearray(4 * PIXELS)
    argb[0::4] = alpha
    for channel in range(3):
        parts = (share.translate(_scale_table(bytes.fromhex(colour[1:])[channel])) for colour, share in shares.items())
        argb[channel + 1 :: 4] = sum(int.from_bytes(part, "big") for part in parts).to_bytes(PIXELS, "big")
    return bytes(argb)


@lru_cache(maxsize=32)  # the palette has fewer levels
def _scale_table(level: int) -> bytes:
    """The table that multiplies shares by `level`. Rounding never makes more of a share than it was."""
    return bytes((level * share + 127) // 255 for share in range(256))


def _split_by_size(argb: bytes) -> tuple[Pixmap, ...]:
    found, at = [], 0
    for size in SIZES:
        end = at + 4 * size * size
        found.append((size, size, argb[at:end]))
        at = end
    return tuple(found)


@lru_cache(maxsize=1)  # 45 kB, and kept: an upgrade takes the file away from a program that runs
def packed_rows(path: Path) -> bytes:
    """The rows of shapes.png as they are in the file; OSError or ValueError."""
    png = path.read_bytes()
    begin = png.find(b"IDAT") + 4
    if png[:16] != b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" or png[16:26] != struct.pack(">IIBB", PIXELS, SHAPE_COUNT, 8, 0):
        raise ValueError(f"{path.name} is of another version: {REGENERATE}")
    return png[begin : begin + int.from_bytes(png[begin - 8 : begin - 4], "big")]


def shapes(rows: bytes, wanted: Collection[int]) -> dict[int, bytes]:
    """These of the packed rows. They are unpacked one by one: all of them together would be half a megabyte."""
    unpacker, found = zlib.decompressobj(), {}
    for number in range(max(wanted) + 1):
        row = unpacker.decompress(rows, 1 + PIXELS)
        rows = unpacker.unconsumed_tail
        if row[:1] != b"\0" or len(row) != 1 + PIXELS:
            raise ValueError(f"row {number} of {SHAPES_PNG.name} is cut short or filtered: {REGENERATE}")
        if number in wanted:
            found[number] = row[1:]
    return found
