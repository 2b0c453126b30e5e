"""Drawing the icon: a pure function from an `IconView` and a size to an image.

The icon has its own dark ground. Panels are light, dark or anything between, and amber on white or grey on grey is
unreadable; on this ground every colour of the palette has a contrast of at least 3 to 1 for everybody's eyes, and on a
dark panel the ground disappears. A tray is small, so forms are solid: below `SMALL` pixels, and for a lone workload, the
state alone fills the icon, and a ring of segments stands around it only where there is room. All lengths are fractions of
the icon's side, measured from its middle; shapes are drawn at eight times the size and averaged down.

macOS and Windows draw with this at run time. Linux never does: Pillow would cost 4 MB and 35 ms, so the shapes are drawn
here in advance, into shapes.png, and `pixmap.py` blends them with the colours.
"""

from __future__ import annotations

import itertools
import math
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw

from trayapp.core.presentation import Glyph, IconView
from trayapp.tray.pixmap import (
    APP_PNG,
    GROUND,
    PIXELS,
    RING_MAX,
    RING_MIN,
    SHAPE_COUNT,
    SHAPES_PNG,
    SIZES,
    contrast,
    ring_of,
)

SCALE = 8  # supersampling; 8 × 8 = 64 shades of an edge are more than the eye can tell apart
EDGE = 24  # px of side for each pixel of dark edge, which sets the icon off from a light panel
RING = 0.10  # width of the ring
GAP = 0.055  # between two segments
GLYPH = 0.30  # radius of a disc within the ring
POINTED = 0.27  # of what extends beyond its circle, and must not merge with a segment of the same colour
TRIANGLE = 0.395  # radius of a triangle that fills the icon: its corners are round, and just within the ground
SMALL = 20  # px; below this size the glyph needs every pixel, and there is no ring
MARK = 0.82  # radius of what is drawn on a filled disc, in radii of the disc
Point = tuple[float, float]


class Canvas:
    """A square to draw on, in fractions of its side, the origin in the middle and y downwards."""

    def __init__(self, size: int, scale: int = SCALE) -> None:
        self.pixel = 1 / size
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

    def downsampled(self) -> Image.Image:
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


# --- glyphs: each fits a circle of radius `r`; `ink` is the colour of the form, `paper` that of what is drawn on it -------


def _tick(canvas: Canvas, r: float, ink: str) -> None:
    canvas.stroke([(-0.62 * r, 0.05 * r), (-0.17 * r, 0.50 * r), (0.64 * r, -0.44 * r)], 0.36 * r, ink)


def _retry(canvas: Canvas, r: float, ink: str) -> None:
    canvas.arc(0.50 * r, 0.95 * r, 95, 345, ink)
    foot = (-0.22 * r, -0.72 * r)  # the arrow's head sits on the ring's end, near the top, and points to the right
    canvas.polygon([(foot[0], foot[1] - 0.46 * r), (0.66 * r, -0.66 * r), (foot[0], foot[1] + 0.62 * r)], ink)


def _triangle(canvas: Canvas, r: float, ink: str, paper: str) -> None:
    corners = [(0.0, -0.90 * r), (0.92 * r, 0.68 * r), (-0.92 * r, 0.68 * r)]
    canvas.polygon(corners, ink)
    canvas.stroke([*corners, corners[0]], 0.2 * r, ink)
    width = max(0.31 * r, 2 * canvas.pixel)  # two whole pixels, as the middle is between two
    canvas.stroke([(0, -0.38 * r), (0, 0.04 * r)], width, paper)
    canvas.disc((0, 0.50 * r), 0.6 * width, paper)


def _cross(canvas: Canvas, r: float, ink: str) -> None:
    for sign in (1, -1):
        canvas.stroke([(-0.58 * r, -0.58 * r * sign), (0.58 * r, 0.58 * r * sign)], 0.40 * r, ink)


def _square(canvas: Canvas, r: float, ink: str) -> None:
    half = 0.62 * r
    canvas.polygon([(-half, -half), (half, -half), (half, half), (-half, half)], ink)


def _question(canvas: Canvas, r: float, ink: str) -> None:
    angles = [math.radians(a) for a in range(-80, 151, 10)]
    hook = [(0.42 * r * math.sin(a), -0.36 * r - 0.40 * r * math.cos(a)) for a in angles]
    canvas.stroke([*hook, (0.0, 0.30 * r)], 0.30 * r, ink)
    canvas.disc((0, 0.76 * r), 0.19 * r, ink)


_MARKS: dict[Glyph, Callable[[Canvas, float, str], None]] = {
    Glyph.TICK: _tick,
    Glyph.RETRY: _retry,
    Glyph.CROSS: _cross,
    Glyph.SQUARE: _square,
    Glyph.QUESTION: _question,
}


def _within(canvas: Canvas, glyph: Glyph, ink: str, paper: str) -> None:
    """The glyph within a ring."""
    if glyph is Glyph.WARNING:
        _triangle(canvas, POINTED, ink, paper)
    elif glyph is Glyph.OPEN:
        canvas.arc(0.52 * GLYPH, GLYPH, 0, 360, ink)
    elif glyph is Glyph.RETRY:
        _retry(canvas, POINTED, ink)  # without a disc, which would leave too little of an arrow
    else:
        canvas.disc((0, 0), GLYPH, ink)
        _MARKS[glyph](canvas, MARK * GLYPH, paper)


def _filling(canvas: Canvas, glyph: Glyph, ink: str, paper: str, radius: float) -> None:
    """The glyph as the whole icon."""
    if glyph is Glyph.WARNING:
        _triangle(canvas, TRIANGLE, ink, paper)
    elif glyph is Glyph.OPEN:
        canvas.arc(0.46 * radius, radius, 0, 360, ink)
    else:
        canvas.disc((0, 0), radius, ink)
        _MARKS[glyph](canvas, MARK * radius, paper)


def _ring(canvas: Canvas, segments: tuple[str, ...], outer: float) -> None:
    share = 360 / len(segments)
    gap = math.degrees(GAP / outer)
    for i, colour in enumerate(segments):
        canvas.arc(outer - RING, outer, i * share + gap / 2, (i + 1) * share - gap / 2, colour)


def _paint(size: int, glyph: Glyph, segments: tuple[str, ...], colour: str, contrasting: str) -> Canvas:
    """The icon before downsampling. `contrasting` is the colour of what is drawn on `colour`."""
    canvas = Canvas(size)
    canvas.disc((0, 0), 0.5, GROUND)
    outer = 0.5 - max(1, round(size / EDGE)) / size
    if segments and size >= SMALL:
        _ring(canvas, segments, outer)
        _within(canvas, glyph, colour, contrasting)
    else:
        _filling(canvas, glyph, colour, contrasting, outer)
    return canvas


@lru_cache(maxsize=64)  # a day shows a handful of views in seven sizes; 64 small pictures are 0.3 MB at most
def draw(view: IconView, size: int) -> Image.Image:
    """The icon, RGBA, `size` px square. The image is cached and shared: do not draw on it."""
    if view.glyph is None:
        with Image.open(APP_PNG) as logo:
            return logo.convert("RGBA").resize((size, size), Image.Resampling.LANCZOS)
    segments = tuple(colour.value for colour in ring_of(view))
    return _paint(size, view.glyph, segments, view.colour.value, contrast(view.colour)).downsampled()


# --- the shapes that `pixmap.py` blends -----------------------------------------------------------------------------------

MARKED, UNMARKED = "#ff0000", "#000000"  # no other colour used with these has the full red


def shapes() -> Image.Image:
    """All shapes, one in each row, in the order that `pixmap.py` defines."""
    rows = [
        b"".join(
            _paint(size, Glyph.OPEN, (), UNMARKED, UNMARKED).downsampled().getchannel("A").tobytes() for size in SIZES
        )
    ]
    rings = [_segments(count) for count in range(RING_MIN, RING_MAX + 1)]
    ring_shares = bytes(
        max(map(sum, shares)) for shares in zip(*(zip(*ring, strict=True) for ring in rings), strict=True)
    )
    for glyph in Glyph:
        rows += [_shape(glyph, (), MARKED, UNMARKED), _shape(glyph, (), UNMARKED, MARKED)]
    for glyph in Glyph:
        for row in (_shape(glyph, (UNMARKED,), MARKED, UNMARKED), _shape(glyph, (UNMARKED,), UNMARKED, MARKED)):
            # At 24 px the triangle's corners touch the ring by a point or two: here those belong to the ring.
            rows.append(bytes(min(share, 255 - ring) for share, ring in zip(row, ring_shares, strict=True)))
    rows += itertools.chain(*rings)
    return Image.frombytes("L", (PIXELS, SHAPE_COUNT), b"".join(rows))


def _segments(count: int) -> list[bytes]:
    """The shapes of a ring of `count` segments."""
    rings = (tuple(MARKED if i == j else UNMARKED for j in range(count)) for i in range(count))
    return [_shape(Glyph.OPEN, ring, UNMARKED, UNMARKED) for ring in rings]


def _shape(glyph: Glyph, segments: tuple[str, ...], colour: str, contrasting: str) -> bytes:
    """In all sizes, the share of each pixel's painted part that has the colour `MARKED`."""
    return bytes(share for size in SIZES for share in _shares(_paint(size, glyph, segments, colour, contrasting)))


def _shares(canvas: Canvas) -> Iterator[int]:
    """0 to 255 for each pixel, rounded down, so that shapes which share a pixel never exceed it in sum."""
    marked = _count_set(canvas.image.getchannel("R"))
    painted = _count_set(canvas.image.getchannel("A"))
    return (255 * part // whole if whole else 0 for part, whole in zip(marked, painted, strict=True))


def _count_set(points: Image.Image) -> bytes:
    """How many of the SCALE² points of each pixel are set (255)."""
    return points.point(lambda value: SCALE * SCALE * (value == 255)).reduce(SCALE).tobytes()


# --- the file that ships with the program --------------------------------------------------------------------------------


def plain_png(image: Image.Image) -> bytes:
    """A PNG, RGBA or grey, with unfiltered rows, so that zlib alone can read it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    (width, height), raw = image.size, image.tobytes()
    step = len(raw) // height
    rows = b"".join(b"\0" + raw[y * step : (y + 1) * step] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, {"L": 0, "RGBA": 6}[image.mode], 0, 0, 0)  # 8 bits a channel
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def write_shapes(folder: Path) -> None:
    """Regenerate shapes.png: `python -m trayapp.tray.art`, after the drawing has changed."""
    (folder / SHAPES_PNG.name).write_bytes(plain_png(shapes()))


if __name__ == "__main__":
    write_shapes(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
