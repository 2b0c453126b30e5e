"""`python packaging/icons.py`: generates every image of the logo from its one source, assets/amberlight.svg.

The source contains only filled paths of M, L, A and Z. So Pillow alone can draw it, identically on every
machine, and the symbolic variant needs no computed outlines (toolkits paint symbolic icons by filling them). `--check`
writes nothing and exits with 1 if an image is out of date. Pixels are compared, not bytes: different builds of zlib
compress the same pixels differently.
"""

from __future__ import annotations

import argparse
import io
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from trayapp.tray.art import Canvas, plain_png  # noqa: E402 - from this checkout, whatever the working directory
from trayapp.tray.pixmap import APP_PNG, LOGO_PNG, PIXELS, SIZES  # noqa: E402

ASSETS = ROOT / "assets"
WEB_LOGO = ROOT / "trayapp/web/logo.svg"  # the dashboard's
SOURCE = "amberlight.svg"
SVG = "{http://www.w3.org/2000/svg}"
SIDE = 128.0  # of the source's viewBox
LAYERS = ("tile", "light")
PLAIN = ("light",)  # what a picture of one colour shows
WHOLE, CLOSE = (
    (0.0, SIDE),
    (14.0, 100.0),
)  # where a picture begins in the source, and its side; without tile it is closer
PNG_SIZES = (16, 22, 24, 32, 48, 64, 128, 256, 512)  # px: hicolor's sizes
APP_SIZE = 128  # px: of the copy in the program, for notifications and the entry that starts it at login
ICO_SIZES = (16, 20, 24, 32, 40, 48, 64, 256)  # px: taskbar and title bars at 100 to 250 %
ICNS_SIZES = (32, 64, 128, 256, 512, 1024)  # px: the sizes that the format defines for macOS 10.7 and newer
TEMPLATE_SIZES = {"": 18, "@2x": 36}  # px: of a menu bar of 22 points
STEP = 2.0  # degrees; an arc is drawn as chords of this length
INK = "#000000"
SYMBOLIC_INK = "#2e3436"  # toolkits replace it; it only shows where the file is displayed unchanged
Point = tuple[float, float]


# --- reading the source ----------------------------------------------------------------------------------------------


def shapes(source: Path, layers: tuple[str, ...] = LAYERS) -> Iterator[tuple[ElementTree.Element, str]]:
    """Each shape of these layers with its colour, in the order of drawing."""
    root = ElementTree.parse(source).getroot()
    for layer in (group for group in root.iter(f"{SVG}g") if group.get("id") in layers):
        for shape in layer:
            yield shape, shape.get("fill") or layer.get("fill") or INK


def outline(path: str) -> list[Point]:
    """The polygon of a path of absolute M, L and A commands, closed by Z."""
    points: list[Point] = []
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]
        match command:
            case "M" | "L":
                points += list(zip(numbers[::2], numbers[1::2], strict=True))
            case "A":
                radius, _, _, large, sweep, x, y = numbers
                points += arc(points[-1], (x, y), radius, large=bool(large), sweep=bool(sweep))
            case "Z":
                return points
            case _:
                raise ValueError(f"{SOURCE} has a path command that is not drawn here: {command}")
    raise ValueError(f"{SOURCE} has a path that is not closed: {path}")


def arc(begin: Point, end: Point, radius: float, *, large: bool, sweep: bool) -> list[Point]:
    """Points along a circle from `begin` (left out) to `end` (SVG 2, "Elliptical arc implementation notes")."""
    middle = ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2)
    dx, dy = end[0] - begin[0], end[1] - begin[1]
    half = math.hypot(dx, dy) / 2
    away = math.sqrt(max(radius**2 - half**2, 0.0)) / (2 * half) * (-1 if large is sweep else 1)
    centre = (middle[0] - dy * away, middle[1] + dx * away)
    first = math.atan2(begin[1] - centre[1], begin[0] - centre[0])
    turn = math.atan2(end[1] - centre[1], end[0] - centre[0]) - first
    turn = turn % math.tau if sweep else -(-turn % math.tau)
    steps = max(1, math.ceil(abs(math.degrees(turn)) / STEP))
    angles = (first + turn * i / steps for i in range(1, steps + 1))
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]


def draw(source: Path, size: int, ink: str = "") -> Image.Image:
    """The source at `size` px, RGBA; with `ink`, the mark without its tile in that colour."""
    canvas = Canvas(size, 8 if size <= 256 else 4)
    begin, side = CLOSE if ink else WHOLE
    for shape, fill in shapes(source, PLAIN if ink else LAYERS):
        if shape.tag != f"{SVG}path":
            raise ValueError(f"{SOURCE} has a shape that is not drawn here: {shape.tag}")
        points = outline(shape.get("d", ""))
        canvas.polygon([((x - begin) / side - 0.5, (y - begin) / side - 0.5) for x, y in points], ink or fill)
    return canvas.downsampled()


# --- the generated files ---------------------------------------------------------------------------------------------


def symbolic(source: Path) -> str:
    """The mark without its tile in one colour, which toolkits replace by their text colour."""
    paths = "\n".join(f'    <path d="{shape.get("d")}"/>' for shape, _ in shapes(source, PLAIN))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="{CLOSE[0]:g} {CLOSE[0]:g} {CLOSE[1]:g} {CLOSE[1]:g}">\n'
        f'  <g fill="{SYMBOLIC_INK}">\n{paths}\n  </g>\n</svg>\n'
    )


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def container(kind: str, images: list[Image.Image]) -> bytes:
    """An ICO or ICNS of exactly these images, none scaled from another."""
    file = io.BytesIO()
    largest = images[-1]
    if kind == "ICO":
        largest.save(file, "ICO", sizes=[image.size for image in images], append_images=images[:-1])
    else:
        largest.save(file, "ICNS", append_images=images[:-1])
    return file.getvalue()


def made(assets: Path) -> dict[str, bytes]:
    """Every generated file, by its path below `assets`."""
    source = assets / SOURCE
    pictures: dict[int, Image.Image] = {}

    def at(size: int) -> Image.Image:
        if size not in pictures:
            pictures[size] = draw(source, size)
        return pictures[size]

    files = {f"png/amberlight-{size}.png": png(at(size)) for size in PNG_SIZES}
    files["amberlight.ico"] = container("ICO", [at(size) for size in ICO_SIZES])
    files["amberlight.icns"] = container("ICNS", [at(size) for size in ICNS_SIZES])
    files["amberlight-symbolic.svg"] = symbolic(source).encode()
    for suffix, size in TEMPLATE_SIZES.items():
        files[f"template/amberlightTemplate{suffix}.png"] = png(draw(source, size, INK))
    return files


def targets(assets: Path) -> dict[Path, bytes]:
    """Every generated file, by its path; with our own assets also what the program itself needs."""
    files = {assets / name: data for name, data in made(assets).items()}
    if assets == ASSETS:
        files[APP_PNG] = files[assets / f"png/amberlight-{APP_SIZE}.png"]
        pixels = b"".join(draw(assets / SOURCE, size).tobytes() for size in SIZES)
        files[WEB_LOGO] = re.sub(r"\s*<!--.*?-->", "", (assets / SOURCE).read_text(), flags=re.DOTALL).encode()
        files[LOGO_PNG] = plain_png(Image.frombytes("RGBA", (PIXELS, 1), pixels))
    return files


def same(one: bytes, other: bytes) -> bool:
    """Whether two files show the same pixels, in every size they hold."""
    return one == other or (one[:5] != b"<svg " and list(pixels(one)) == list(pixels(other)))


def pixels(data: bytes) -> Iterator[tuple[object, bytes]]:
    """Each image in a file with its size; nothing if the file is not an image."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "ICO":
                ico = image.ico  # type: ignore[attr-defined]
                found = [(size, ico.getimage(size)) for size in sorted(ico.sizes())]
            elif image.format == "ICNS":
                icns = image.icns  # type: ignore[attr-defined]
                found = [(size, icns.getimage(size)) for size in sorted(icns.itersizes())]
            else:
                found = [(image.size, image)]
            for size, picture in found:
                yield size, picture.convert("RGBA").tobytes()
    except OSError:
        return


def stale(assets: Path) -> list[str]:
    """The files that are missing or out of date, and those that are not generated from the source."""
    wanted = targets(assets)
    bad = {file for file, data in wanted.items() if not file.is_file() or not same(file.read_bytes(), data)}
    there = {path for folder in ("png", "template") for path in (assets / folder).glob("*")}
    root = ROOT if assets == ASSETS else assets
    return sorted(path.relative_to(root).as_posix() for path in bad | (there - wanted.keys()))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a picture is not up to date")
    parser.add_argument("--assets", type=Path, default=ASSETS, help="the directory with the source")
    arguments = parser.parse_args()
    assets: Path = arguments.assets
    if arguments.check:
        bad = stale(assets)
        print(
            "\n".join(f"{name}: not what {SOURCE} gives; run packaging/icons.py" for name in bad),
            end="\n" if bad else "",
        )
        return 1 if bad else 0
    for file, data in targets(assets).items():
        file.parent.mkdir(exist_ok=True)
        if not file.is_file() or not same(file.read_bytes(), data):
            file.write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
