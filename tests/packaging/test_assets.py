"""The images of the logo are up to date with their one source, and the logo is none of the tray icon's states."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests import ROOT
from tests.colour_vision import rgb
from trayapp.core.presentation import Colour, Glyph, IconView
from trayapp.tray import art, pixmap

ASSETS = ROOT / "assets"


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "packaging" / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_image_is_up_to_date() -> None:
    """It fails if packaging/icons.py was not run after the last change of assets/amberlight.svg."""

    done = run("icons.py", "--check")
    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_the_contact_sheet_is_up_to_date() -> None:
    """It fails if packaging/contact_sheet.py was not run after the last change of the drawing."""

    done = run("contact_sheet.py", "--check")
    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_a_changed_source_is_noticed(tmp_path: Path) -> None:
    """Every outdated image is named, and so is a file that is not generated."""

    assets = tmp_path / "assets"
    shutil.copytree(ASSETS, assets)
    (assets / "png/amberlight-17.png").write_bytes(b"")
    source = assets / "amberlight.svg"
    source.write_text(source.read_text().replace("#ffcf66", "#ffcfff"))
    done = run("icons.py", "--check", "--assets", assets)
    assert 1 == done.returncode
    for name in ("png/amberlight-16.png", "png/amberlight-17.png", "amberlight.ico", "amberlight.icns"):
        assert f"{name}: not what" in done.stdout
    assert "symbolic" not in done.stdout, "a colour does not change what has none"


def test_an_unsupported_shape_is_refused(tmp_path: Path) -> None:
    """A shape that the script does not support would be missing in every image."""

    assets = tmp_path / "assets"
    shutil.copytree(ASSETS, assets)
    source = assets / "amberlight.svg"
    for old, new in (("<path", "<ellipse"), (" A32", " C32"), (' Z"', '"')):
        source.write_text((ASSETS / "amberlight.svg").read_text().replace(old, new, 1))
        done = run("icons.py", "--check", "--assets", assets)
        assert 1 == done.returncode
        assert "amberlight.svg has a" in done.stderr


def test_the_logo_is_no_state() -> None:
    """No colour of a state is in it, and it is a square: it can stand beside any message without saying anything else."""

    with Image.open(ASSETS / "png/amberlight-128.png") as image:
        mark = image.convert("RGBA")
    areas = {pixel[:3] for count, pixel in mark.getcolors(128 * 128) or () if count > 100}  # type: ignore[index]
    for colour in (*Colour, pixmap.GROUND):
        assert all(sum(abs(a - b) for a, b in zip(area, rgb(colour), strict=True)) > 30 for area in areas), colour
    for glyph, colour in itertools.product(Glyph, Colour):
        state = art.draw(IconView(glyph, colour), 128)
        outline = ImageChops.difference(mark.getchannel("A"), state.getchannel("A")).histogram()
        assert sum(outline[128:]) > 0.1 * 128 * 128, "a disc, like the states"


@pytest.mark.skipif(shutil.which("rsvg-convert") is None, reason="rsvg-convert is not there")
@pytest.mark.parametrize("size", [22, 128])
def test_librsvg_renders_the_same(size: int, tmp_path: Path) -> None:
    """librsvg draws it on most desktops: only edges differ."""

    theirs = tmp_path / "theirs.png"
    subprocess.run(["rsvg-convert", "-w", str(size), "-o", theirs, ASSETS / "amberlight.svg"], check=True)
    with Image.open(theirs) as one, Image.open(ASSETS / f"png/amberlight-{size}.png") as other:
        difference = ImageChops.difference(one.convert("RGBA"), other.convert("RGBA"))
    assert 0.02 > sum(sum(band.histogram()[48:]) for band in difference.split()) / (4 * size * size)


def test_the_variants_fit_their_systems() -> None:
    """ICO and ICNS hold every size; a template is black and transparent; the symbolic icon has one colour."""

    with Image.open(ASSETS / "amberlight.ico") as ico:
        assert {16, 20, 24, 32, 40, 48, 64, 256} == {width for width, _ in ico.info["sizes"]}
    with Image.open(ASSETS / "amberlight.icns") as icns:
        assert {32, 64, 128, 256, 512, 1024} <= {size[0] * size[2] for size in icns.info["sizes"]}
    for suffix, size in (("", 18), ("@2x", 36)):
        with Image.open(ASSETS / f"template/amberlightTemplate{suffix}.png") as template:
            assert (size, size) == template.size
            bands = template.convert("RGBA").split()
            assert [(0, 0)] * 3 == [band.getextrema() for band in bands[:3]]
            assert (0, 255) == bands[3].getextrema()
    symbolic = (ASSETS / "amberlight-symbolic.svg").read_text()
    assert 1 == symbolic.count("fill=")
    assert 'width="16" height="16"' in symbolic


def test_the_dashboard_begins_with_the_logo() -> None:
    """Until it knows a state, its tab has the program's own icon."""

    assert '<link rel="icon" href="/web/logo.svg">' in (ROOT / "trayapp/web/index.html").read_text()
    assert (ROOT / "trayapp/web/logo.svg").is_file()
