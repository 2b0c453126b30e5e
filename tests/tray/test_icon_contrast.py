"""Every state's icon can be told on light and dark panels, also without red, green or blue cones."""

from __future__ import annotations

import itertools

import pytest
from PIL import Image, ImageChops

from tests.colour_vision import SIMULATIONS, Matrix, Rgb, contrast, rgb, seen
from trayapp.core.presentation import Colour, Glyph, IconView
from trayapp.core.snapshot import Status
from trayapp.core.view import BLUE, STYLES
from trayapp.tray import art, pixmap

AT_LEAST = 3.0  # WCAG 2.2, 1.4.11 "Non-text Contrast"
PANELS = {
    "light": "#f6f5f4",
    "dark": "#2b2b2b",
    # The taskbars of Windows 10 and 11. The icon needs no second look for them, nor to know which one there is.
    "Windows 10, light": "#eeeeee",
    "Windows 10, dark": "#101010",
    "Windows 11, light": "#f3f3f3",
    "Windows 11, dark": "#1c1c1c",
    "Windows, blue": "#0078d4",
    "Windows, high contrast": "#000000",
}
SIZES = (16, 20, 22, 24, 32, 40, 48)
EYES: dict[str, Matrix | None] = {"usual": None, **SIMULATIONS}
LOOKS = sorted({(style.glyph, style.colour) for style in (*STYLES.values(), BLUE)})
STATES = sorted({(style.glyph, style.colour) for status, style in STYLES.items() if status is not Status.UNKNOWN})


def view(glyph: Glyph, colour: Colour, ring: bool) -> IconView:
    return IconView(glyph, colour, (Colour.GREEN, colour, Colour.GREEN) if ring else ())


def on_panel(icon: Image.Image, panel: str) -> Image.Image:
    image = Image.new("RGB", icon.size, panel)
    image.paste(icon, (0, 0), icon)
    return image


def area(image: Image.Image, colour: Rgb) -> int:
    """How many pixels have this colour, or hardly another."""
    return sum(
        count
        for count, found in image.getcolors(image.width * image.height) or ()
        if isinstance(found, tuple) and all(abs(a - b) <= 32 for a, b in zip(found, colour, strict=True))
    )


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
@pytest.mark.parametrize("matrix", EYES.values(), ids=EYES)
@pytest.mark.parametrize(("glyph", "colour"), LOOKS)
def test_the_form_stands_out(glyph: Glyph, colour: Colour, matrix: Matrix | None, panel: str) -> None:
    """The form against the ground and what is drawn on it, and the whole icon against the panel: 3 to 1."""

    form, ground, mark = (seen(rgb(each), matrix) for each in (colour.value, pixmap.GROUND, pixmap.contrast(colour)))
    behind = seen(rgb(panel), matrix)
    assert contrast(form, ground) >= AT_LEAST
    if glyph is not Glyph.OPEN:
        assert contrast(form, mark) >= AT_LEAST
    assert max(contrast(form, behind), contrast(ground, behind)) >= AT_LEAST


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ring", [False, True], ids=["alone", "ring"])
@pytest.mark.parametrize(("glyph", "colour"), LOOKS)
def test_these_colours_are_what_is_drawn(glyph: Glyph, colour: Colour, ring: bool, size: int) -> None:
    """Even at 16 px the form has whole pixels of its colour, and so has what is drawn on it."""

    icon = art.draw(view(glyph, colour, ring), size).convert("RGB")
    assert area(icon, rgb(colour.value)) >= 0.06 * size * size
    if glyph not in (Glyph.OPEN, Glyph.RETRY):
        assert area(icon, rgb(pixmap.contrast(colour))) >= 0.012 * size * size


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ring", [False, True], ids=["alone", "ring"])
def test_states_differ_in_shape(ring: bool, size: int) -> None:
    """In the same grey, each pair of states differs strongly in at least 4 % of the pixels."""

    forms = {glyph for glyph, _ in STATES}
    assert len(STATES) == len(forms), "two states differ only in colour"
    drawn = {glyph: on_panel(art.draw(view(glyph, Colour.GREY, ring), size), "#808080").convert("L") for glyph in forms}
    for one, other in itertools.combinations(forms, 2):
        different = ImageChops.difference(drawn[one], drawn[other]).histogram()
        assert sum(different[48:]) / (size * size) >= 0.04, (one, other)


@pytest.mark.parametrize("size", [16, 20, 22, 24])
@pytest.mark.parametrize(("glyph", "colour"), LOOKS)
def test_a_small_icon_is_solid(glyph: Glyph, colour: Colour, size: int) -> None:
    """At 16 px, and for a lone workload, the state fills the icon: no ring that is thinner than two pixels."""

    alone = art.draw(view(glyph, colour, False), size)
    assert alone.tobytes() == art.draw(IconView(glyph, colour, (colour,)), size).tobytes()
    if size == 16:
        assert alone.tobytes() == art.draw(view(glyph, colour, True), size).tobytes()
