"""The icon blended without Pillow, compared with the one that Pillow draws."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests import ROOT
from trayapp.core.menu import SEGMENTS_MAX
from trayapp.core.presentation import Colour, Glyph, IconView
from trayapp.tray import art, pixmap

OFF = 5  # of 255: the triangle at 24 px, where a point or two of 64 are the ring's; elsewhere it is 2
COUNTS = range(pixmap.RING_MAX + 1)

WHOLE_LIFE = """
import itertools, sys
import trayapp.app.app, trayapp.app.notifier, trayapp.app.runtime, trayapp.tray.notify, trayapp.tray.notify_linux
from trayapp.core.presentation import Colour, TrayView, Glyph, IconView
from trayapp.tray import pixmap
from trayapp.tray.icon import TrayIcon

for glyph, colour, count in itertools.product(Glyph, Colour, range(7)):
    pixmap.pixmaps(IconView(glyph, colour, (colour,) * count))

def show():
    tray.publish(last)
    return TrayView(IconView(Glyph.TICK, Colour.GREEN, (Colour.GREEN,)), "running", ())

def last():
    tray.stop()
    return TrayView(IconView(Glyph.WARNING, Colour.RED, (Colour.RED,)), "red", ())

tray = TrayIcon(print, lambda: tray.publish(show))
tray.run()
print(*sys.modules, sep="\\n")
"""


def views() -> list[IconView]:
    """Every glyph in every colour with every number of segments, neighbours of different colours."""
    palette = itertools.cycle(Colour)
    return [
        IconView(glyph, colour, tuple(itertools.islice(palette, count)))
        for glyph, colour, count in itertools.product(Glyph, Colour, COUNTS)
    ]


def rgba(picture: pixmap.Pixmap) -> Image.Image:
    width, height, data = picture
    alpha, red, green, blue = Image.frombytes("RGBA", (width, height), data).split()
    return Image.merge("RGBA", (red, green, blue, alpha))


def off(one: Image.Image, other: Image.Image) -> int:
    """The largest difference in any channel of any pixel, premultiplied by alpha, as it is seen."""
    bands = ImageChops.difference(one.convert("RGBa"), other.convert("RGBa")).split()
    return max(int(band.getextrema()[1]) for band in bands)  # type: ignore[arg-type]


@pytest.mark.parametrize("glyph", list(Glyph))
def test_a_blended_icon_equals_the_drawn_one(glyph: Glyph) -> None:
    """In every colour, with every ring, in every size, up to `OFF`; its outline exactly."""

    for view in views():
        if view.glyph is not glyph:
            continue
        for picture, size in zip(pixmap.pixmaps(view), pixmap.SIZES, strict=True):
            drawn, mixed = art.draw(view, size), rgba(picture)
            assert (size, size) == mixed.size
            assert drawn.getchannel("A").tobytes() == mixed.getchannel("A").tobytes(), (view, size)
            assert off(drawn, mixed) <= OFF, (view, size)


def test_a_plain_pixel_is_exact_and_has_its_alpha_first() -> None:
    """ARGB in network order: the ground between ring and glyph, a segment, the tick, and nothing at the corner."""

    size, _, data = pixmap.pixmaps(IconView(Glyph.TICK, Colour.GREEN, (Colour.RED, Colour.BLUE)))[-1]
    found = {
        place: data[4 * place : 4 * place + 4].hex() for place in (0, 32 * size + 60, 32 * size + 3, 20 * size + 20)
    }
    assert ["00000000", "ffe45a4c", "ff3b82d0", "ff2e9e5b"] == list(found.values())
    assert "ff14161a" == data[4 * (32 * size + 11) :][:4].hex()
    assert "ffffffff" == data[4 * (40 * size + 29) :][:4].hex()


def test_more_segments_than_a_ring_holds_fill_the_icon() -> None:
    """A ring holds as many as a view has at most; with more, the worst colour is shown, not the shape of another glyph."""

    assert SEGMENTS_MAX == pixmap.RING_MAX
    seven = IconView(Glyph.CROSS, Colour.RED, (Colour.GREEN,) * 7)
    assert pixmap.pixmaps(IconView(Glyph.CROSS, Colour.RED)) == pixmap.pixmaps(seven)


def test_without_a_state_it_is_the_logo() -> None:
    """In every size the picture that other programs show as well; Pillow draws it almost the same where it draws."""

    nothing = IconView(None, Colour.GREY)
    for picture in pixmap.pixmaps(nothing):
        size, shown = picture[0], rgba(picture)
        if (file := ROOT / f"assets/png/amberlight-{size}.png").exists():
            with Image.open(file) as image:
                assert image.convert("RGBA").tobytes() == shown.tobytes()
        difference = ImageChops.difference(shown.convert("RGBa"), art.draw(nothing, size).convert("RGBa"))
        assert sum(sum(band.histogram()[64:]) for band in difference.split()) < 0.05 * 4 * size * size, size


def test_shapes_png_has_every_shape() -> None:
    """Only the contrast rows of glyphs without contrast are empty; Pillow reads the same as zlib."""

    rows = pixmap.shapes(pixmap.packed_rows(pixmap.SHAPES_PNG), range(pixmap.SHAPE_COUNT))
    at = {glyph: 2 * place + 1 for place, glyph in enumerate(Glyph)}
    empty = {pixmap.WITHIN_ROWS + at[Glyph.OPEN], pixmap.FILLING_ROWS + at[Glyph.OPEN]}
    assert empty == {number for number, row in rows.items() if not any(row)}
    with Image.open(pixmap.SHAPES_PNG) as image:
        assert image.tobytes() == b"".join(rows.values())


def test_the_file_is_small() -> None:
    """It is in every installation, and in memory while the program runs."""

    assert pixmap.SHAPES_PNG.stat().st_size < 50_000


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    """Its rows would mean something else; the error says how to fix it."""

    path = tmp_path / "shapes.png"
    path.write_bytes(art.plain_png(Image.new("L", (pixmap.PIXELS, pixmap.SHAPE_COUNT - 1))))
    with pytest.raises(ValueError, match=r"shapes\.png is of another version: write it with"):
        pixmap.packed_rows(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="another version"):
        pixmap.packed_rows(path)


def test_a_file_that_was_repacked_is_refused(tmp_path: Path) -> None:
    """A PNG optimiser would filter the rows, and a copy may be cut short."""

    path = tmp_path / "shapes.png"
    gradient = Image.linear_gradient("L").resize((pixmap.PIXELS, pixmap.SHAPE_COUNT))
    gradient.save(path, optimize=True)
    with pytest.raises(ValueError, match="cut short or filtered"):
        pixmap.shapes(pixmap.packed_rows(path), range(pixmap.SHAPE_COUNT))
    with pytest.raises(ValueError, match="cut short or filtered"):
        pixmap.shapes(pixmap.packed_rows(pixmap.SHAPES_PNG)[:-9000], range(pixmap.SHAPE_COUNT))


@pytest.mark.linux("elsewhere pystray draws with Pillow")
def test_the_program_never_loads_pillow(tmp_path: Path) -> None:
    """Not for the tray, not for a notification, not for any view: that saves 4 MB."""

    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": "disabled:", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", WHOLE_LIFE], env=environment, capture_output=True, text=True, timeout=60
    )
    assert 0 == done.returncode, done.stderr
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert {"trayapp", "pystray"} <= loaded
    assert "PIL" not in loaded
    assert "trayapp.tray.art" not in done.stdout.split()
