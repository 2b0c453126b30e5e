"""Contrast as WCAG measures it, and colours as people with a colour vision deficiency see them.

The matrices are those of G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, "A Physiologically-based Model for
Simulation of Color Vision Deficiency", IEEE Transactions on Visualization and Computer Graphics 15 (6), 2009, table of
severity 1.0 (https://www.inf.ufrgs.br/~oliveira/pubs_files/CVD_Simulation/CVD_Simulation.html). They apply to linear RGB.
"""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

Rgb = tuple[int, int, int]
Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

SIMULATIONS: Mapping[str, Matrix] = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def rgb(colour: str) -> Rgb:
    """The parts of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _linear(part: int) -> float:
    share = part / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def _encoded(share: float) -> int:
    share = min(max(share, 0.0), 1.0)
    return round(255 * (share * 12.92 if share <= 0.0031308 else 1.055 * share ** (1 / 2.4) - 0.055))


def seen(colour: Rgb, matrix: Matrix | None) -> Rgb:
    """The colour as it looks with this deficiency; None: with none."""
    if matrix is None:
        return colour
    red, green, blue = (_linear(part) for part in colour)
    one, two, three = (_encoded(row[0] * red + row[1] * green + row[2] * blue) for row in matrix)
    return one, two, three


def seen_image(image: Image.Image, matrix: Matrix | None) -> Image.Image:
    """The same for an RGB image with few colours."""
    known: dict[Rgb, Rgb] = {}
    pixels: list[Rgb] = list(image.convert("RGB").getdata())
    for pixel in pixels:
        if pixel not in known:
            known[pixel] = seen(pixel, matrix)
    simulated = Image.new("RGB", image.size)
    simulated.putdata([known[pixel] for pixel in pixels])
    return simulated


def luminance(colour: Rgb) -> float:
    """WCAG 2 relative luminance."""
    red, green, blue = (_linear(part) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Rgb, other: Rgb) -> float:
    """WCAG 2 contrast ratio, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
