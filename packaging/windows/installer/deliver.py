"""`python packaging/windows/installer/deliver.py`: from the frozen program a Setup.exe, a portable archive and manifests.

Works on Linux: needs makensis (Debian: nsis) only. Before anything is built, the program is searched for libraries of
Wine, and for libraries that are neither in it nor part of Windows. `--url` names the directory of the web where the files
will be; without it there are no manifests for winget and Scoop. Two builds of one program make the same archive.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import manifests
import pe

ROOT = Path(__file__).resolve().parent.parent.parent.parent
HERE, ASSETS = Path(__file__).resolve().parent, ROOT / "assets"
EPOCH = 1767225600  # s; the time stamp of every file in the archive, unless SOURCE_DATE_EPOCH is set
PORTABLE = "amberlight-home"  # config/home.py
PROGRAMS = {"amberlight.exe": pe.CONSOLE, "amberlightw.exe": pe.GUI}
LIBRARIES = (".dll", ".pyd", ".exe")
# What the Windows computer in Wine needs, and a real one has: never delivered. python3.dll is another matter: this CPython
# lacks it, so the one that lane.sh makes is delivered, which only forwards to python313.dll, as Python's own does.
HELPERS = frozenset({"bcryptprimitives.dll"})
# Parts of Windows 10. Everything else that a library needs has to be in the program.
WINDOWS = """
advapi32 bcrypt bcryptprimitives cfgmgr32 comctl32 comdlg32 crypt32 dbghelp dnsapi dwmapi gdi32 imm32 iphlpapi kernel32 mpr
msimg32 ncrypt netapi32 normaliz ntdll ole32 oleaut32 pdh powrprof propsys psapi rpcrt4 secur32 setupapi shell32 shlwapi
ucrtbase user32 userenv usp10 uxtheme version wer winmm wintrust wldap32 ws2_32 wtsapi32
"""
API_SET = re.compile(r"(api|ext)-ms-win-[a-z0-9-]+")  # the names of parts of ucrtbase, kernelbase and others


class UnfitError(Exception):
    """The program can't be delivered, and why."""


def images(program: Path) -> Iterator[tuple[Path, pe.Image]]:
    """Every program and library of the tree."""
    for path in sorted(program.rglob("*")):
        if path.suffix.lower() in LIBRARIES:
            yield path, pe.read(path)


def check(program: Path) -> None:
    """Raises `UnfitError` for a library of Wine, a missing one, or a program that is missing or of the wrong kind."""
    found = dict(images(program))
    here = {path.name.lower() for path in found}
    for name, subsystem in PROGRAMS.items():
        image = found.get(program / name)
        if image is None:
            raise UnfitError(f"{program / name} is missing: freeze the program first.")
        if image.subsystem != subsystem:
            raise UnfitError(f"{name} is of subsystem {image.subsystem}, not {subsystem}.")
    for path, image in found.items():
        if image.wine or path.name.lower() in HELPERS:
            raise UnfitError(f"{path.name} is a part of Wine, not of Windows.")
        missing = sorted(name for name in image.imports - here if not part_of_windows(name))
        if missing:
            raise UnfitError(f"{path.name} needs {', '.join(missing)}, which isn't there.")


def part_of_windows(name: str) -> bool:
    stem = name.removesuffix(".dll").removesuffix(".drv")
    return stem in WINDOWS.split() or API_SET.fullmatch(stem) is not None


def archive(program: Path, version: str, target: Path) -> None:
    """The portable archive: the program in a directory of its own, with an empty `amberlight-home`."""
    stamp = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH)), UTC).timetuple()[:6]
    top = f"amberlight-{version}"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr(zipfile.ZipInfo(f"{top}/{PORTABLE}/", stamp), "")
        for path in sorted(path for path in program.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{top}/{path.relative_to(program).as_posix()}", stamp)
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, path.read_bytes())


def setup(program: Path, version: str, target: Path) -> None:
    """Run makensis. Raises `CalledProcessError`, after its own words."""
    given = {"VERSION": version, "PROGRAM": program, "ASSETS": ASSETS, "OUT": target}
    options = [f"-D{name}={value}" for name, value in given.items()]
    subprocess.run(["makensis", "-V2", "-WX", *options, HERE / "amberlight.nsi"], check=True)


def write_manifests(version: str, url: str, made: Path, zipped: Path, place: Path) -> None:
    stamp = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH)), UTC)
    delivery = manifests.Delivery(
        version, url.rstrip("/"), made.name, digest(made), zipped.name, digest(zipped), f"{stamp:%Y-%m-%d}"
    )
    folder = place / "winget"
    folder.mkdir(exist_ok=True)
    for name, text in manifests.winget(delivery).items():
        (folder / name).write_text(text, encoding="utf-8")
    (place / "scoop").mkdir(exist_ok=True)
    (place / "scoop" / "amberlight.json").write_text(manifests.scoop(delivery), encoding="utf-8")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def current_version() -> str:
    text = (ROOT / "trayapp" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "([^"]+)"', text)
    if found is None:
        raise UnfitError("trayapp/__init__.py has no version.")
    return found[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--program", type=Path, default=ROOT / "dist/windows/amberlight", help="the frozen program")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist/windows", help="where the files go (dist/windows)")
    parser.add_argument("--url", default="", help="the directory of the web where the files will be")
    arguments = parser.parse_args()
    program, dist, version = arguments.program.absolute(), arguments.dist.absolute(), current_version()
    made, zipped = dist / f"amberlight-{version}-setup.exe", dist / f"amberlight-{version}-windows.zip"
    try:
        check(program)
        if shutil.which("makensis") is None:
            raise UnfitError("makensis isn't here. Install the package nsis.")
        dist.mkdir(parents=True, exist_ok=True)
        archive(program, version, zipped)
        setup(program, version, made)
        if arguments.url:
            write_manifests(version, arguments.url, made, zipped, dist)
    except (UnfitError, pe.NotPeError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError:
        print("makensis failed; its words are above.", file=sys.stderr)
        return 1
    print(f"{made}\n{zipped}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
