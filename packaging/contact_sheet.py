"""`python packaging/contact_sheet.py`: draws assets/contact-sheet.png, every state of the icon as panels show it.

Rows are states; columns are panel sizes, on a light and on a dark panel, and 16 px again enlarged; then the same as three
colour vision deficiencies see it. The logo and its one-colour variants are below. `--check` compares pixels, as
packaging/icons.py does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from icons import ASSETS, SOURCE, draw, png, same  # noqa: E402

from tests.colour_vision import SIMULATIONS, Matrix, rgb, seen, seen_image  # noqa: E402
from trayapp.core.presentation import Colour, Glyph, IconView  # noqa: E402
from trayapp.tray import art  # noqa: E402

SHEET = "contact-sheet.png"
SIZES = (16, 22, 24, 32, 48)
PANELS = ("#f6f5f4", "#2b2b2b")
INK = {"#f6f5f4": "#2e3436", "#2b2b2b": "#eeeeec"}
EYES: dict[str, Matrix | None] = {"": None, **SIMULATIONS}
ENLARGED = 6
HEAD, TEXT, GAP = 32, 230, 8  # px
ICONS = sum(SIZES) + GAP * (len(SIZES) + 1)
ROW = 16 * ENLARGED + 2 * GAP
GREEN, AMBER, RED, BLUE, GREY = Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE, Colour.GREY

STATES: tuple[tuple[str, IconView], ...] = (
    ("Connected; more than six", IconView(Glyph.TICK, GREEN, (GREEN,))),
    ("Connected, three", IconView(Glyph.TICK, GREEN, (GREEN,) * 3)),
    ("Connected, six", IconView(Glyph.TICK, GREEN, (GREEN,) * 6)),
    ("Reconnecting", IconView(Glyph.RETRY, AMBER, (AMBER,))),
    ("Reconnecting, one of three", IconView(Glyph.RETRY, AMBER, (GREEN, AMBER, GREEN))),
    ("Sign-in needed", IconView(Glyph.WARNING, RED, (RED,))),
    ("Sign-in needed, one of four", IconView(Glyph.WARNING, RED, (GREEN, RED, AMBER, GREEN))),
    ("Access refused; an error", IconView(Glyph.CROSS, RED, (RED,))),
    ("Access refused, one of two", IconView(Glyph.CROSS, RED, (RED, GREEN))),
    ("Starting; not signed in", IconView(Glyph.OPEN, BLUE, (BLUE,))),
    ("Starting, two", IconView(Glyph.OPEN, BLUE, (BLUE,) * 2)),
    ("Paused", IconView(Glyph.SQUARE, GREY, (GREY,))),
    ("Paused, two", IconView(Glyph.SQUARE, GREY, (GREY,) * 2)),
    ("Unknown", IconView(Glyph.QUESTION, GREY, (GREY,))),
    ("Clients can't connect", IconView(Glyph.WARNING, AMBER)),
)

DrawAt = Callable[[int], Image.Image]  # size → picture


def sheet() -> Image.Image:
    image = Image.new("RGB", (_left(len(EYES), 0), HEAD + ROW * (len(STATES) + 2)), "#ffffff")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)
    for number, (eyes, matrix) in enumerate(EYES.items()):
        pen.text((_left(number, 0) + GAP, GAP), eyes.capitalize() or "As drawn", fill="#000000", font=font)
        for side, panel in enumerate(PANELS):
            _column(image, _left(number, side), panel, matrix)
    for row, name in enumerate(
        [*(name for name, _ in STATES), "No workloads yet: the logo", "One colour: symbolic, template"]
    ):
        pen.text((GAP, HEAD + row * ROW + ROW // 2 - 8), name, fill="#000000", font=font)
    return image


def _left(eyes: int, side: int) -> int:
    """Where a column begins; the first two are wider by the enlarged icon."""
    before = 2 * eyes + side
    return TEXT + before * ICONS + min(before, 2) * (16 * ENLARGED + GAP)


def _column(image: Image.Image, left: int, panel: str, matrix: Matrix | None) -> None:
    right = left + ICONS + (16 * ENLARGED + GAP if matrix is None else 0)
    ImageDraw.Draw(image).rectangle((left, HEAD, right - 1, image.height), fill=seen(rgb(panel), matrix))
    source = ASSETS / SOURCE
    pictures: list[DrawAt] = [lambda size, view=view: art.draw(view, size) for _, view in STATES]  # type: ignore[misc]
    pictures += [lambda size: draw(source, size), lambda size: draw(source, size, INK[panel])]
    for row, at in enumerate(pictures):
        icons = {size: _on_panel(at(size), panel, matrix) for size in SIZES}
        x, y = left + GAP, HEAD + row * ROW
        for size, icon in icons.items():
            image.paste(icon, (x, y + (ROW - size) // 2))
            x += size + GAP
        if matrix is None:
            large = icons[16].resize((16 * ENLARGED, 16 * ENLARGED), Image.Resampling.NEAREST)
            image.paste(large, (x, y + GAP))


def _on_panel(icon: Image.Image, panel: str, matrix: Matrix | None) -> Image.Image:
    image = Image.new("RGB", icon.size, panel)
    image.paste(icon, (0, 0), icon)
    return image if matrix is None else seen_image(image, matrix)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if the sheet is not up to date")
    check = parser.parse_args().check
    # This palette is the one that keeps the colours of small areas: no pixel is off by more than 15 of 255.
    file, drawn = ASSETS / SHEET, sheet().quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    if file.is_file() and same(file.read_bytes(), png(drawn)):
        return 0
    if check:
        print(f"{SHEET}: not up to date; run packaging/contact_sheet.py")
        return 1
    file.write_bytes(png(drawn))
    return 0


if __name__ == "__main__":
    sys.exit(main())
