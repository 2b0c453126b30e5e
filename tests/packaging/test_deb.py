"""The Debian package: its documents, and libraries without build directories."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from trayapp import __version__

SCRIPT = ROOT / "packaging/deb/build.py"
AWAY = "/home/builder/lib"

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not here"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked package of a program with one library and its licence; the package itself is beside it."""
    place = tmp_path_factory.mktemp("deb")
    program = place / "amberlight"
    (program / "_internal/licences/lib").mkdir(parents=True)
    (program / "_internal/licences/lib/LICENSE").write_text("Do as you like.\n")
    executable(program / "amberlight", place)
    library(program / "_internal/liblib.so", place)
    command = [sys.executable, str(SCRIPT), "--program", str(program), "--dist", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    subprocess.run(["dpkg-deb", "-x", done.stdout.strip(), place / "tree"], check=True)
    return place / "tree"


def executable(target: Path, place: Path) -> None:
    """Compile a small program; without a compiler this interpreter stands in, with whatever its builder left in it."""
    source = place / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    if shutil.which("cc") is None:
        shutil.copy(sys.executable, target)
        return
    subprocess.run(["cc", "-s", "-O2", "-o", target, source], check=True)


def library(target: Path, place: Path) -> None:
    """Compile a library whose search path names a build directory; a placeholder without a compiler."""
    source = place / "lib.c"
    source.write_text("int answer(void) { return 42; }\n")
    if shutil.which("cc") is None:
        target.write_bytes(b"no library")
        return
    path = f"-Wl,--enable-new-dtags,-rpath,{AWAY}"
    subprocess.run(["cc", "-g", "-shared", "-fPIC", path, "-o", target, source], check=True)


def test_licences_go_where_debian_looks(tree: Path) -> None:
    """All licences of the libraries are in the directory that the copyright file names."""

    assert "Do as you like.\n" == (tree / "usr/share/doc/amberlight/licences/lib/LICENSE").read_text()
    assert [] == list(tree.glob("opt/**/licences"))
    assert "/usr/share/doc/amberlight/licences" in (tree / "usr/share/doc/amberlight/copyright").read_text()


def test_the_changelog_is_in_debians_form(tree: Path) -> None:
    """It begins with this version and has every entry of CHANGELOG.md."""

    text = gzip.decompress((tree / "usr/share/doc/amberlight/changelog.gz").read_bytes()).decode()
    assert text.startswith(f"amberlight ({__version__}) unstable; urgency=medium\n\n  * ")
    assert re.search(r"^ -- .+ <.+>  \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000$", text, re.MULTILINE)
    items = re.findall(r"^- ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert len(items) == len(re.findall(r"^  \* ", text, re.MULTILINE))
    assert "###" not in text
    assert max(len(line) for line in text.splitlines() if not line.startswith(" -- ")) <= 80


def test_the_manual_has_every_command(tree: Path) -> None:
    """With its help unchanged, and no line of it is taken for a roff request."""

    text = gzip.decompress((tree / "usr/share/man/man1/amberlight.1.gz").read_bytes()).decode()
    for name in ("run", "add", "reauthorize", "doctor"):
        assert f'.SH "amberlight {name}"\n.nf\nusage: amberlight {name}' in text
    requests = set(re.findall(r"^[.'](\w*)", text, re.MULTILINE))
    assert {"TH", "SH", "nf", "fi"} == requests


def test_no_directory_of_the_builder_is_searched(tree: Path) -> None:
    """Anyone who can create it on another machine could choose what is loaded; the library still works."""

    path = tree / "opt/amberlight/_internal/liblib.so"
    if path.read_bytes() == b"no library":
        pytest.skip("there is no compiler here")
    said = subprocess.run(["objdump", "-p", path], capture_output=True, text=True, check=True).stdout
    assert "RUNPATH" not in said
    assert "RPATH" not in said
    program = f"import ctypes; print(ctypes.CDLL({str(path)!r}).answer())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "42\n" == done.stdout


def test_lintian_finds_nothing(tree: Path) -> None:
    """Not even pedantic and informational tags, apart from the overrides, some of which only the whole program needs."""

    lintian = shutil.which("lintian")
    if lintian is None:
        pytest.skip("lintian is not here")
    (package,) = tree.parent.glob("*.deb")
    command = [lintian, "--allow-root", "--pedantic", "--info", "--display-info", str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    tags = [line for line in done.stdout.splitlines() if re.match(r"[EWIP]: ", line)]
    assert [] == [tag for tag in tags if "unused-override" not in tag]
