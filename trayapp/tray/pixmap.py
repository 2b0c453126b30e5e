"""Icon pixmaps for Linux tray hosts without Pillow: prebuilt shapes blended with a view's colours.

The law: a pixel is a sum. shapes.png holds the share of each pixel that a shape covers, 0 to 255; the shapes of one view
never cover more than the whole pixel, and the rest is the ground. So whole images are blended in one go: `translate`
multiplies the shares by a colour, integers of 10,676 bytes add them, and as no sum exceeds 255, no byte carries into the
next. A view in all sizes takes a millisecond or two.

shapes.png is 8-bit grey with unfiltered rows, so that zlib alone can read it. A row is a shape in all `SIZES`, one after
another, each from its upper left. The rows are: the outline, which is the alpha of every icon; for each glyph that fills
the icon, in the order of `Glyph`, the part in the view's colour and the part in the contrasting colour; the same for
glyphs within a ring; each segment of a ring of `RING_MIN`, up to `RING_MAX`. `art.py` writes the file.

logo.png has the logo in all `SIZES` in the same order, as one unfiltered row of RGBA; packaging/icons.py writes it.
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
LOGO_PNG = Path(__file__).with_name("logo.png")

GROUND = "#14161a"
WHITE = "#ffffff"
DARK = "#14161a"
FIRST_VIEW = IconView(Glyph.OPEN, Colour.BLUE)  # shown before any state is known

RING_MIN, RING_MAX = 2, 6  # segments: one alone would say what the glyph says
OUTLINE_ROW = 0  # this and the next three: where each group of rows begins
FILLING_ROWS = 1  # the first icon is among these; unpacking them all takes 0.3 ms
WITHIN_ROWS = FILLING_ROWS + 2 * len(Glyph)
RING_ROWS = WITHIN_ROWS + 2 * len(Glyph)
SHAPE_COUNT = RING_ROWS + sum(range(RING_MIN, RING_MAX + 1))
GREY, RGBA = 0, 6  # kinds of PNG
REGENERATE = "write it with `python -m trayapp.tray.art`"
TOUCHED_IS_WHOLE = b"\0" + b"\xff" * 255  # a pixel that the outline touches at all counts as whole

Pixmap = tuple[int, int, bytes]  # (iiay): width, height, ARGB in network order, not premultiplied


def contrast(colour: Colour) -> str:
    """The colour that is readable on this one: on amber it is dark, elsewhere white."""
    return DARK if colour is Colour.AMBER else WHITE


def ring_of(view: IconView) -> tuple[Colour, ...]:
    """The segments that are drawn; none where they are too many to tell apart."""
    return view.segments if RING_MIN <= len(view.segments) <= RING_MAX else ()


@lru_cache(maxsize=4)  # states flap between a few views; each is 43 kB
def pixmaps(view: IconView) -> tuple[Pixmap, ...]:
    """The icon in all `SIZES`. Raises OSError or ValueError if its file can't be read."""
    if view.glyph is None:
        return _logo()
    layers = _layers(view, view.glyph)
    masks = shapes(packed_rows(SHAPES_PNG), {OUTLINE_ROW, *(row for row, _ in layers)})
    shares: dict[str, int] = {}
    for row, colour in layers:
        shares[colour] = shares.get(colour, 0) + int.from_bytes(masks[row], "big")
    remaining = int.from_bytes(masks[OUTLINE_ROW].translate(TOUCHED_IS_WHOLE), "big") - sum(shares.values())
    shares[GROUND] = shares.get(GROUND, 0) + remaining
    return _split_by_size(
        _blend(masks[OUTLINE_ROW], {colour: share.to_bytes(PIXELS, "big") for colour, share in shares.items()})
    )


def _logo() -> tuple[Pixmap, ...]:
    row = zlib.decompress(_packed(LOGO_PNG, height=1, kind=RGBA))
    argb = bytearray(4 * PIXELS)
    for channel in range(4):
        argb[(channel + 1) % 4 :: 4] = row[1 + channel :: 4]
    return _split_by_size(bytes(argb))


def _layers(view: IconView, glyph: Glyph) -> list[tuple[int, str]]:
    """The rows of shapes.png that make this view, each with its colour."""
    segments = ring_of(view)
    ring = RING_ROWS + sum(range(RING_MIN, len(segments)))
    row = (WITHIN_ROWS if segments else FILLING_ROWS) + 2 * list(Glyph).index(glyph)
    return [
        *((ring + i, colour.value) for i, colour in enumerate(segments)),
        (row, view.colour.value),
        (row + 1, contrast(view.colour)),
    ]


def _blend(alpha: bytes, shares: dict[str, bytes]) -> bytes:
    """ARGB of all pixels, from the share of each colour in them."""
    argb = bytearray(4 * PIXELS)
    argb[0::4] = alpha
    for channel in range(3):
        parts = (share.translate(_scale_table(bytes.fromhex(colour[1:])[channel])) for colour, share in shares.items())
        argb[channel + 1 :: 4] = sum(int.from_bytes(part, "big") for part in parts).to_bytes(PIXELS, "big")
    return bytes(argb)


@lru_cache(maxsize=32)  # the palette has fewer levels
def _scale_table(level: int) -> bytes:
    """The translation table that multiplies shares by `level`. Rounding never makes a share larger."""
    return bytes((level * share + 127) // 255 for share in range(256))


def _split_by_size(argb: bytes) -> tuple[Pixmap, ...]:
    found, at = [], 0
    for size in SIZES:
        end = at + 4 * size * size
        found.append((size, size, argb[at:end]))
        at = end
    return tuple(found)


@lru_cache(maxsize=1)  # 45 kB, cached because an upgrade may remove the file while the program runs
def packed_rows(path: Path) -> bytes:
    """The compressed rows of shapes.png. Raises OSError or ValueError."""
    return _packed(path, height=SHAPE_COUNT, kind=GREY)


def _packed(path: Path, *, height: int, kind: int) -> bytes:
    """The compressed rows of a PNG with 8 bits a channel."""
    png = path.read_bytes()
    begin = png.find(b"IDAT") + 4
    if png[:16] != b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" or png[16:26] != struct.pack(">IIBB", PIXELS, height, 8, kind):
        raise ValueError(f"{path.name} is of another version: {REGENERATE}")
    return png[begin : begin + int.from_bytes(png[begin - 8 : begin - 4], "big")]


def shapes(rows: bytes, wanted: Collection[int]) -> dict[int, bytes]:
    """Unpack the `wanted` rows, one by one: all of them together would take half a megabyte."""
    unpacker, found = zlib.decompressobj(), {}
    for number in range(max(wanted) + 1):
        row = unpacker.decompress(rows, 1 + PIXELS)
        rows = unpacker.unconsumed_tail
        if row[:1] != b"\0" or len(row) != 1 + PIXELS:
            raise ValueError(f"row {number} of {SHAPES_PNG.name} is cut short or filtered: {REGENERATE}")
        if number in wanted:
            found[number] = row[1:]
    return found
