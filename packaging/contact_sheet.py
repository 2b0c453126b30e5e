"""`python packaging/contact_sheet.py`: draws assets/contact-sheet.png, every state of the icon as panels show it.

Rows are states; columns are panel sizes, on a light and on a dark panel, and 16 px again at eight times the size. The
logo and its one-colour variants are below. `--check` compares pixels, as packaging/icons.py does.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from icons import ASSETS, SOURCE, draw, png, same  # noqa: E402

from trayapp.core.presentation import Colour, Glyph, IconView  # noqa: E402
from trayapp.tray import art  # noqa: E402

SHEET = "contact-sheet.png"
SIZES = (16, 22, 24, 32, 48)
PANELS = ("#f6f5f4", "#2b2b2b")
INK = {"#f6f5f4": "#2e3436", "#2b2b2b": "#eeeeec"}
ENLARGED = 8
TEXT, CELL, GAP = 250, 56, 8  # px
ROW = 16 * ENLARGED + 2 * GAP
GREEN, AMBER, RED, BLUE, GREY = Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE, Colour.GREY

STATES: tuple[tuple[str, IconView], ...] = (
    ("running", IconView(Glyph.TICK, GREEN, (GREEN,))),
    ("running, three", IconView(Glyph.TICK, GREEN, (GREEN,) * 3)),
    ("running, six", IconView(Glyph.TICK, GREEN, (GREEN,) * 6)),
    ("running, more than six", IconView(Glyph.TICK, GREEN)),
    ("auth_retrying", IconView(Glyph.RETRY, AMBER, (AMBER,))),
    ("auth_retrying, one of three", IconView(Glyph.RETRY, AMBER, (GREEN, AMBER, GREEN))),
    ("auth_retrying, more than six", IconView(Glyph.RETRY, AMBER)),
    ("unauthenticated", IconView(Glyph.WARNING, RED, (RED,))),
    ("unauthenticated, one of four", IconView(Glyph.WARNING, RED, (GREEN, RED, AMBER, GREEN))),
    ("unauthenticated, more than six", IconView(Glyph.WARNING, RED)),
    ("error, unhealthy", IconView(Glyph.CROSS, RED, (RED, GREEN))),
    ("error, more than six; bad file", IconView(Glyph.CROSS, RED)),
    ("starting, never signed in", IconView(Glyph.OPEN, BLUE, (BLUE,))),
    ("starting, more than six", IconView(Glyph.OPEN, BLUE)),
    ("stopped", IconView(Glyph.SQUARE, GREY, (GREY,))),
    ("stopped, more than six", IconView(Glyph.SQUARE, GREY)),
    ("unknown", IconView(Glyph.QUESTION, GREY, (GREY,))),
    ("unknown, more than six", IconView(Glyph.QUESTION, GREY)),
    ("stopping, removing", IconView(Glyph.OPEN, GREY, (GREY,))),
    ("no workload yet", IconView(Glyph.OPEN, GREY)),
)


def sheet() -> Image.Image:
    strip = CELL * len(SIZES) + ROW + GAP
    height = ROW * (len(STATES) + 2) + GAP
    image = Image.new("RGB", (TEXT + strip * len(PANELS), height), "#ffffff")
    pen = ImageDraw.Draw(image)
    for side, panel in enumerate(PANELS):
        pen.rectangle((TEXT + side * strip, 0, TEXT + (side + 1) * strip, height), fill=panel)
    for row, (name, view) in enumerate(STATES):
        pen.text((GAP, row * ROW + ROW // 2 - 6), name, fill="#000000")
        for side in range(len(PANELS)):
            _row(image, TEXT + side * strip, row * ROW, {size: art.draw(view, size) for size in SIZES})
    _marks(image, pen, strip)
    return image


def _row(image: Image.Image, x: int, y: int, pictures: dict[int, Image.Image]) -> None:
    for place, size in enumerate(SIZES):
        at = (x + place * CELL + (CELL - size) // 2, y + (ROW - size) // 2)
        image.paste(pictures[size], at, pictures[size])
    large = pictures[16].resize((16 * ENLARGED, 16 * ENLARGED), Image.Resampling.NEAREST)
    image.paste(large, (x + CELL * len(SIZES), y + GAP), large)


def _marks(image: Image.Image, pen: ImageDraw.ImageDraw, strip: int) -> None:
    source = ASSETS / SOURCE
    for row, name in enumerate(("the mark", "symbolic, template"), len(STATES)):
        pen.text((GAP, row * ROW + ROW // 2 - 6), name, fill="#000000")
        for side, panel in enumerate(PANELS):
            plain = name == "the mark"
            how = {} if plain else {"layers": ("ring", "glyph"), "ink": INK[panel]}
            _row(image, TEXT + side * strip, row * ROW, {size: draw(source, size, **how) for size in SIZES})  # type: ignore[arg-type]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if the sheet is not up to date")
    check = parser.parse_args().check
    file, drawn = ASSETS / SHEET, sheet().quantize(256, dither=Image.Dither.NONE)
    if file.is_file() and same(file.read_bytes(), png(drawn)):
        return 0
    if check:
        print(f"{SHEET}: not up to date; run packaging/contact_sheet.py")
        return 1
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG", optimize=True)
    file.write_bytes(buffer.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
