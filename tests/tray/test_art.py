"""The drawn icon, checked by its pixels."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests.colour_vision import contrast, rgb
from trayapp.core.presentation import Colour, Glyph, IconView
from trayapp.tray import art, pixmap

Rgba = tuple[int, int, int, int]


def at(image: Image.Image, x: float, y: float) -> Rgba:
    """The pixel at a fraction of the side, from the upper left."""
    value = image.getpixel((int(x * image.width), int(y * image.height)))
    assert isinstance(value, tuple)
    return int(value[0]), int(value[1]), int(value[2]), int(value[3])


@pytest.mark.parametrize("size", pixmap.SIZES)
def test_every_size_is_a_square_with_clear_corners(size: int) -> None:
    """A disc: the panel shows at the corners, the icon at the rim's middle."""

    image = art.draw(IconView(Glyph.TICK, Colour.GREEN, (Colour.GREEN,)), size)
    assert (size, size) == image.size
    assert 0 == at(image, 0, 0)[3]
    assert 0 == at(image, 0.999, 0.999)[3]
    assert rgb(Colour.GREEN.value) == at(image, 0.5, 0.08)[:3] or size < 22


def test_each_workload_has_its_segment_clockwise_from_the_top() -> None:
    """Four workloads: upper right, lower right, lower left, upper left."""

    view = IconView(Glyph.WARNING, Colour.RED, (Colour.RED, Colour.GREEN, Colour.AMBER, Colour.BLUE))
    image = art.draw(view, 64)
    assert (*rgb(Colour.RED.value), 255) == at(image, 0.80, 0.20)
    assert (*rgb(Colour.GREEN.value), 255) == at(image, 0.80, 0.80)
    assert (*rgb(Colour.AMBER.value), 255) == at(image, 0.20, 0.80)
    assert (*rgb(Colour.BLUE.value), 255) == at(image, 0.20, 0.20)


def test_gaps_separate_the_segments() -> None:
    """Two segments of the same colour are visibly two."""

    image = art.draw(IconView(Glyph.TICK, Colour.GREEN, (Colour.GREEN, Colour.GREEN)), 64)
    assert rgb(pixmap.GROUND) == at(image, 0.5, 0.08)[:3]
    assert rgb(Colour.GREEN.value) == at(image, 0.92, 0.5)[:3]


def test_without_segments_the_worst_colour_fills_the_icon() -> None:
    """More than six workloads do not fit a ring of 22 pixels."""

    image = art.draw(IconView(Glyph.CROSS, Colour.RED), 48)
    assert (*rgb(Colour.RED.value), 255) == at(image, 0.5, 0.1)
    assert (*rgb(pixmap.WHITE), 255) == at(image, 0.5, 0.5)


@pytest.mark.parametrize("segments", [(), (Colour.GREY,)], ids=["disc", "ring"])
@pytest.mark.parametrize("size", [16, 22, 24])
def test_the_glyphs_differ_without_their_colours(size: int, segments: tuple[Colour, ...]) -> None:
    """In the same grey, each pair of glyphs differs strongly in at least 4 % of all pixels."""

    images = {glyph: art.draw(IconView(glyph, Colour.GREY, segments), size).convert("L") for glyph in Glyph}
    for one, other in itertools.combinations(Glyph, 2):
        different = ImageChops.difference(images[one], images[other]).histogram()
        assert sum(different[48:]) / (size * size) >= 0.04, (one, other)


@pytest.mark.parametrize("colour", list(Colour))
def test_every_colour_is_readable_on_the_icons_own_ground(colour: Colour) -> None:
    """A contrast of 4 to 1, where WCAG 2 asks 3 to 1 of graphical objects."""

    assert contrast(rgb(colour.value), rgb(pixmap.GROUND)) >= 4


def test_a_view_is_drawn_once() -> None:
    """The cache returns the same image again."""

    view = IconView(Glyph.RETRY, Colour.AMBER, (Colour.AMBER,))
    assert art.draw(view, 22) is art.draw(view, 22)


def test_attention_does_not_change_the_image() -> None:
    """The panel shows attention in its own way."""

    calm = art.draw(IconView(Glyph.WARNING, Colour.RED, (Colour.RED,)), 22)
    loud = art.draw(IconView(Glyph.WARNING, Colour.RED, (Colour.RED,), attention=True), 22)
    assert calm.tobytes() == loud.tobytes()


def test_the_prebuilt_shapes_are_those_that_the_code_draws(tmp_path: Path) -> None:
    """It fails if `python -m trayapp.tray.art` was not run after the last change of the drawing."""

    art.write_shapes(tmp_path)
    with Image.open(pixmap.SHAPES_PNG) as shipped, Image.open(tmp_path / pixmap.SHAPES_PNG.name) as drawn:
        assert (shipped.size, shipped.mode) == (drawn.size, drawn.mode)
        assert shipped.tobytes() == drawn.tobytes()
