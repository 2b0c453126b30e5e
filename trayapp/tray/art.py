"""Every pixel of Amberlight is made here: an `IconView` and a size go in, a picture comes out, always the same one.

The icon brings its own dark ground. Panels are light, dark or anything between, and amber on white or grey on grey
cannot be read; on this ground every colour of the palette has a contrast of at least 4 to 1, and on a dark panel the
ground simply disappears. All lengths are fractions of the icon's side, measured from its middle; shapes are drawn
eight times too large and averaged down.
"""

from __future__ import annotations

import itertools
import math
import struct
import sys
import zlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw

from trayapp.core.face import Colour, Glyph, IconView
from trayapp.tray.pixmap import SIZES

FIRST = IconView(Glyph.OPEN, Colour.BLUE)  # what is shown before anything is known: the picture in first.png
# The picture of the program itself, in notifications:
APP = IconView(Glyph.RETRY, Colour.AMBER, (Colour.GREEN, Colour.AMBER, Colour.GREEN))

SCALE = 8  # supersampling; 8 × 8 = 64 shades of an edge are more than anybody sees
GROUND = "#14161a"
WHITE = "#ffffff"
DARK = "#14161a"
RING_OUTER = 0.49  # the ground stands out 0.01 around it, so that the ring has an edge on a white panel
RING_INNER = 0.375
GAP = 0.055  # between two segments
GLYPH = 0.30  # radius of the glyph within the ring
WARNING = 0.28  # the triangle's corners stand out of its circle, and must not melt into a segment of the same colour
SMALL = 20  # px; below that each pixel goes to the glyph: a thinner ring and a larger shape
SMALL_INNER = 0.40
SMALL_GLYPH = 0.32
Point = tuple[float, float]


class Canvas:
    """A square to draw on, in fractions of its side, the origin in the middle and y downwards."""

    def __init__(self, size: int, scale: int = SCALE) -> None:
        self.side = size * scale
        self._scale = scale
        self.image = Image.new("RGBA", (self.side, self.side), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)

    def _at(self, point: Point) -> Point:
        return ((point[0] + 0.5) * self.side, (point[1] + 0.5) * self.side)

    def disc(self, centre: Point, radius: float, colour: str) -> None:
        x, y = self._at(centre)
        r = radius * self.side
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def polygon(self, points: Iterable[Point], colour: str) -> None:
        self._draw.polygon([self._at(point) for point in points], fill=colour)

    def stroke(self, points: list[Point], width: float, colour: str) -> None:
        """A line through `points` with round ends and corners."""
        for begin, end in itertools.pairwise(points):
            self.polygon(_thick(begin, end, width), colour)
        for point in points:
            self.disc(point, width / 2, colour)

    def arc(self, inner: float, outer: float, begin: float, end: float, colour: str) -> None:
        """A part of a ring around the middle; degrees, clockwise from twelve o'clock."""
        steps = max(3, int(abs(end - begin) / 3))
        angles = [math.radians(begin + (end - begin) * i / steps) for i in range(steps + 1)]
        rim = [(outer * math.sin(a), -outer * math.cos(a)) for a in angles]
        hole = [(inner * math.sin(a), -inner * math.cos(a)) for a in reversed(angles)]
        self.polygon(rim + hole, colour)

    def done(self) -> Image.Image:
        return self.image.reduce(self._scale)


def _thick(begin: Point, end: Point, width: float) -> list[Point]:
    length = math.hypot(end[0] - begin[0], end[1] - begin[1]) or 1.0
    across = ((begin[1] - end[1]) / length * width / 2, (end[0] - begin[0]) / length * width / 2)
    return [
        (begin[0] + across[0], begin[1] + across[1]),
        (end[0] + across[0], end[1] + across[1]),
        (end[0] - across[0], end[1] - across[1]),
        (begin[0] - across[0], begin[1] - across[1]),
    ]


# --- glyphs: each fills a circle of radius `r`; `ink` is the shape, `paper` what lies on it -------------------------------


def _tick(canvas: Canvas, r: float, ink: str, paper: str) -> None:
    canvas.disc((0, 0), r, ink)
    _tick_mark(canvas, r, paper)


def _tick_mark(canvas: Canvas, r: float, ink: str) -> None:
    canvas.stroke([(-0.52 * r, 0.06 * r), (-0.13 * r, 0.46 * r), (0.56 * r, -0.38 * r)], 0.30 * r, ink)


def _retry(canvas: Canvas, r: float, ink: str, paper: str) -> None:
    canvas.arc(0.55 * r, 0.95 * r, 95, 345, ink)
    foot = (-0.22 * r, -0.74 * r)  # the arrow's head sits on the ring's end, near the top, and points to the right
    canvas.polygon([(foot[0], foot[1] - 0.46 * r), (0.66 * r, -0.66 * r), (foot[0], foot[1] + 0.60 * r)], ink)


def _warning(canvas: Canvas, r: float, ink: str, paper: str) -> None:
    corners = [(0.0, -0.92 * r), (0.98 * r, 0.72 * r), (-0.98 * r, 0.72 * r)]
    canvas.polygon(corners, ink)
    canvas.stroke([*corners, corners[0]], 0.2 * r, ink)
    _exclamation(canvas, r, paper)


def _exclamation(canvas: Canvas, r: float, ink: str) -> None:
    canvas.stroke([(0, -0.42 * r), (0, 0.14 * r)], 0.28 * r, ink)
    canvas.disc((0, 0.53 * r), 0.17 * r, ink)


def _cross(canvas: Canvas, r: float, ink: str, paper: str) -> None:
    for way in (1, -1):
        canvas.stroke([(-0.66 * r, -0.66 * r * way), (0.66 * r, 0.66 * r * way)], 0.40 * r, ink)


def _open(canvas: Canvas, r: float, ink: str, paper: str) -> None:
    canvas.arc(0.62 * r, 0.98 * r, 0, 360, ink)


def _square(canvas: Canvas, r: float, ink: str, paper: str) -> None:
    half = 0.68 * r
    canvas.polygon([(-half, -half), (half, -half), (half, half), (-half, half)], ink)


def _question(canvas: Canvas, r: float, ink: str, paper: str) -> None:
    angles = [math.radians(a) for a in range(-80, 151, 10)]
    hook = [(0.42 * r * math.sin(a), -0.36 * r - 0.40 * r * math.cos(a)) for a in angles]
    canvas.stroke([*hook, (0.0, 0.30 * r)], 0.30 * r, ink)
    canvas.disc((0, 0.76 * r), 0.19 * r, ink)


_GLYPHS: dict[Glyph, Callable[[Canvas, float, str, str], None]] = {
    Glyph.TICK: _tick,
    Glyph.RETRY: _retry,
    Glyph.WARNING: _warning,
    Glyph.CROSS: _cross,
    Glyph.OPEN: _open,
    Glyph.SQUARE: _square,
    Glyph.QUESTION: _question,
}


def _on(colour: Colour) -> str:
    """What can be read on this colour: white on amber cannot."""
    return DARK if colour is Colour.AMBER else WHITE


def _ring(canvas: Canvas, segments: tuple[Colour, ...], inner: float) -> None:
    if len(segments) == 1:
        canvas.arc(inner, RING_OUTER, 0, 360, segments[0].value)
        return
    share = 360 / len(segments)
    gap = math.degrees(GAP / RING_OUTER)
    for i, colour in enumerate(segments):
        canvas.arc(inner, RING_OUTER, i * share + gap / 2, (i + 1) * share - gap / 2, colour.value)


def _full(canvas: Canvas, view: IconView) -> None:
    """More workloads than a ring can show: the worst colour fills the icon and the glyph lies on it."""
    if view.glyph is Glyph.OPEN:
        canvas.arc(0.25, RING_OUTER, 0, 360, view.colour.value)
        return
    canvas.disc((0, 0), RING_OUTER, view.colour.value)
    ink = _on(view.colour)
    if view.glyph is Glyph.TICK:
        _tick_mark(canvas, 0.42, ink)
    elif view.glyph is Glyph.WARNING:
        _warning(canvas, 0.36, ink, view.colour.value)
    else:
        _GLYPHS[view.glyph](canvas, 0.36, ink, view.colour.value)


@lru_cache(maxsize=64)  # a day shows a handful of views in seven sizes; 64 small pictures are 0.3 MB at most
def draw(view: IconView, size: int) -> Image.Image:
    """The icon, RGBA, `size` px square. Shared between callers: do not draw on it."""
    canvas = Canvas(size)
    canvas.disc((0, 0), 0.5, GROUND)
    if view.segments:
        _ring(canvas, view.segments, SMALL_INNER if size < SMALL else RING_INNER)
        radius = WARNING if view.glyph is Glyph.WARNING else SMALL_GLYPH if size < SMALL else GLYPH
        _GLYPHS[view.glyph](canvas, radius, view.colour.value, _on(view.colour))
    else:
        _full(canvas, view)
    return canvas.done()


# --- the pictures that come with the program ------------------------------------------------------------------------------


def plain_png(image: Image.Image) -> bytes:
    """A PNG whose rows are not filtered, so that `pixmap.py` can read it with zlib alone, before Pillow is loaded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    width, height = image.size
    raw = image.convert("RGBA").tobytes()
    rows = b"".join(b"\0" + raw[y * width * 4 : (y + 1) * width * 4] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)  # 8 bits, RGBA
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def first_strip() -> Image.Image:
    """The first icon in all `SIZES`, one below the other, at the left edge."""
    strip = Image.new("RGBA", (max(SIZES), sum(SIZES)), (0, 0, 0, 0))
    y = 0
    for size in SIZES:
        strip.paste(draw(FIRST, size), (0, y))
        y += size
    return strip


def write_pictures(folder: Path) -> None:
    """Draw first.png and app.png anew: `python -m trayapp.tray.art`, after the drawing was changed."""
    (folder / "first.png").write_bytes(plain_png(first_strip()))
    (folder / "app.png").write_bytes(plain_png(draw(APP, 128)))


if __name__ == "__main__":
    write_pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
