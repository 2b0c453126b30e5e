"""`python packaging/deb/build.py`: builds dist/amberlight_VERSION_ARCH.deb from the frozen program.

The program goes to /opt/amberlight, with a link in /usr/bin and its desktop files in the usual places. No script runs at
installation or removal. Needs dpkg-deb, but not root. Two builds of the same tree are identical. Libraries lose their
debugging symbols if `strip` is installed. lintian(1) reports nothing, given the overrides of documents.py.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import documents
import elf

ROOT = Path(__file__).resolve().parent.parent.parent
ASSETS, LINUX = ROOT / "assets", ROOT / "packaging" / "linux"
NAME = "amberlight"
PROGRAM = "opt/amberlight"
EPOCH = 1767225600  # s; the time stamp of every file, unless SOURCE_DATE_EPOCH is set
CONFFILE = "etc/xdg/autostart/amberlight.desktop"

# Where each file goes, beside the program itself.
FILES = {
    "usr/share/applications/amberlight.desktop": LINUX / "amberlight.desktop",
    CONFFILE: LINUX / "autostart.desktop",
    "usr/share/metainfo/io.github.amberlight.metainfo.xml": LINUX / "io.github.amberlight.metainfo.xml",
    "usr/lib/systemd/user/amberlight.service": ROOT / "packaging/systemd/amberlight.service",
    "usr/share/icons/hicolor/scalable/apps/amberlight.svg": ASSETS / "amberlight.svg",
    "usr/share/icons/hicolor/symbolic/apps/amberlight-symbolic.svg": ASSETS / "amberlight-symbolic.svg",
    **{
        f"usr/share/icons/hicolor/{size}x{size}/apps/amberlight.png": ASSETS / f"png/amberlight-{size}.png"
        for size in (16, 22, 24, 32, 48, 64, 128, 256, 512)
    },
}
CONTROL = """\
Package: amberlight
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: libc6 (>= {libc})
Recommends: default-dbus-session-bus | dbus-session-bus, gnome-keyring | kwalletmanager, xdg-utils
Suggests: gnome-shell-extension-appindicator
Section: net
Priority: optional
Description: keeps OAuth logins alive from the tray
 Amberlight keeps the logins of remote MCP servers, APIs and anything else
 behind an OAuth server signed in. It tells "cannot refresh now" (amber,
 recovers on its own) from "the login is really gone" (red, one click fixes
 it), and never loses a login that its server still honours.
"""


def version() -> str:
    text = (ROOT / "trayapp" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "([^"]+)"', text)
    assert found is not None
    return found[1]


def stage(program: Path, tree: Path) -> None:
    """Copy everything but DEBIAN/ into the tree, with its modes."""
    shutil.copytree(program, tree / PROGRAM, symlinks=True)
    for name, source in FILES.items():
        put(tree / name, source.read_bytes())
    link = tree / "usr/bin" / NAME
    link.parent.mkdir(parents=True)
    link.symlink_to(f"/{PROGRAM}/{NAME}")
    add_documents(tree)
    strip_libraries(tree / PROGRAM)
    for path in walk(tree):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path == tree / PROGRAM / NAME else 0o644)


def add_documents(tree: Path) -> None:
    """Add changelog, manual page, copyright, licences and lintian overrides."""
    place = tree / "usr/share/doc" / NAME
    put(place / "copyright", documents.COPYRIGHT.encode())
    put(place / "changelog.gz", packed(documents.changelog(stamp())))
    put(tree / f"usr/share/man/man1/{NAME}.1.gz", packed(documents.manual(version())))
    put(tree / f"usr/share/lintian/overrides/{NAME}", documents.overrides().encode())
    for licences in (tree / PROGRAM).glob(f"*/{documents.LICENCES}"):
        licences.rename(place / documents.LICENCES)


def packed(text: str) -> bytes:
    """Compress like gzip -9n."""
    return gzip.compress(text.encode(), 9, mtime=0)


def strip_libraries(program: Path) -> None:
    """Remove build directories and debugging symbols, a quarter of the size, from all libraries.

    The executable is left alone, as its archive is appended to it; strip may break libraries that were relinked for a
    wheel (*.libs).
    """
    for path in walk(program):
        if ".so" not in path.name or path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        if data.startswith(elf.MAGIC):
            path.write_bytes(elf.without_absolute_path(data))
            if shutil.which("strip") is not None and not path.parent.name.endswith(".libs"):
                subprocess.run(["strip", "--strip-unneeded", str(path)], check=True)


def stamp() -> int:
    """The time stamp of every file, in seconds since the epoch."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH))


def control(tree: Path, architecture: str) -> None:
    """Write DEBIAN/, the metadata for dpkg."""
    files = [path for path in walk(tree) if path.is_file() and not path.is_symlink()]
    sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files)
    size = sum(path.lstat().st_size for path in files) // 1024
    libc = platform.libc_ver()[1] or "2.36"
    words = {"maintainer": documents.MAINTAINER, "version": version(), "architecture": architecture}
    text = CONTROL.format(**words, size=size, libc=libc)
    put(tree / "DEBIAN/control", text.encode())
    put(tree / "DEBIAN/md5sums", sums.encode())
    put(tree / "DEBIAN/conffiles", f"/{CONFFILE}\n".encode())


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o644)


def walk(tree: Path) -> Iterator[Path]:
    """Every path below, in the same order on every machine."""
    return iter(sorted(tree.rglob("*")))


def pack(tree: Path, target: Path) -> None:
    """Build the package, with everything owned by root and stamped with `stamp()`."""
    when = stamp()
    for path in (*walk(tree), tree):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        os.utime(path, (when, when), follow_symlinks=False)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when)}
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(target)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    frozen, output = ROOT / "dist" / NAME, ROOT / "dist"
    parser.add_argument("--program", type=Path, default=frozen, help="the frozen program (dist/amberlight)")
    parser.add_argument("--dist", type=Path, default=output, help="where the package goes (dist)")
    arguments = parser.parse_args()
    if not os.access(arguments.program / NAME, os.X_OK):
        print(
            f"There is no program in {arguments.program}: run packaging/pyinstaller/freeze.py first.", file=sys.stderr
        )
        return 1
    if shutil.which("dpkg-deb") is None:
        print("dpkg-deb is needed; it is there on every Debian.", file=sys.stderr)
        return 1
    asked = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
    architecture = asked.stdout.strip()
    target = arguments.dist / f"{NAME}_{version()}_{architecture}.deb"
    with tempfile.TemporaryDirectory(prefix="amberlight-deb-") as place:
        tree = Path(place) / "tree"
        tree.mkdir(mode=0o755)
        stage(arguments.program, tree)
        control(tree, architecture)
        pack(tree, target)
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
