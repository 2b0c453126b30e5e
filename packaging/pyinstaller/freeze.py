"""`python packaging/pyinstaller/freeze.py`: builds the frozen program into dist/amberlight, in an environment of its own.

The environment (build/freezer) holds only the dependencies, in the versions of constraints.txt, and PyInstaller, so that
nothing else gets in; Amberlight itself comes from this checkout. `--python` chooses the interpreter of the environment,
`--here` freezes with the interpreter that runs this script. Needs pip or ensurepip, and on Linux objdump (binutils).
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SPEC = ROOT / "packaging" / "pyinstaller" / "amberlight.spec"
FREEZER = "pyinstaller>=6.22,<7"


class MissingError(Exception):
    """Something that freezing needs isn't here, and what to do."""


def has(python: str, *modules: str) -> bool:
    """Whether this interpreter has these modules."""
    found = subprocess.run([python, "-c", f"import {', '.join(modules)}"], capture_output=True, check=False)
    return found.returncode == 0


def check_needs(python: str, *, here: bool) -> None:
    """Raises `MissingError` naming what is missing before anything is made."""
    if sys.platform.startswith("linux") and shutil.which("objdump") is None:
        raise MissingError("PyInstaller needs objdump. Install the package binutils.")
    if here and not has(python, "PyInstaller"):
        install = shlex.join([python, "-m", "pip", "install", FREEZER])
        raise MissingError(
            f"This Python has no PyInstaller. Install it: {install} (or leave out --here, which does that)."
        )
    if not here and not has(python, "venv"):
        raise MissingError(f"{python} can't make virtual environments. Name another Python with --python.")
    if not here and not (has(python, "ensurepip") or has(python, "pip")):
        raise MissingError(f"{python} has neither pip nor ensurepip. Install the package python3-venv or python3-pip.")


def freezer(work: Path, python: str) -> str:
    """The interpreter of the freezing environment, which is created if missing."""
    place = work / "freezer"
    scripts = "Scripts" if os.name == "nt" else "bin"
    inside = place / scripts / ("python.exe" if os.name == "nt" else "python")
    own_pip = has(python, "ensurepip")
    if not inside.exists():
        subprocess.run([python, "-m", "venv", *([] if own_pip else ["--without-pip"]), place], check=True)
    pip = [str(inside), "-m", "pip"] if own_pip else [python, "-m", "pip", "--python", str(inside)]
    constraints = ROOT / "packaging" / "constraints.txt"
    install = [*pip, "install", "--quiet", "--disable-pip-version-check"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"]  # not Amberlight itself
    try:
        subprocess.run([*install, "-c", str(constraints), *wanted], check=True)
        subprocess.run([*install, FREEZER], check=True)
    except subprocess.CalledProcessError as error:
        raise MissingError(
            "pip couldn't install PyInstaller and the dependencies (see above). Are you online?"
        ) from error
    return str(inside)


def build(python: str, work: Path, dist: Path) -> Path:
    """Freeze; returns the directory of the program."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "1767225600"),
    }
    options = ["--noconfirm", "--clean", "--log-level", "WARN"]
    options += ["--workpath", str(work / "pyinstaller"), "--distpath", str(dist), str(SPEC)]
    subprocess.run([python, "-m", "PyInstaller", *options], check=True, env=environment, cwd=ROOT)
    return dist / "amberlight"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="makes the environment (this interpreter)")
    parser.add_argument("--here", action="store_true", help="freeze with this interpreter and what it has installed")
    parser.add_argument("--work", type=Path, default=ROOT / "build", help="for what is only needed meanwhile (build)")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the program goes (dist)")
    arguments = parser.parse_args()
    work, dist = arguments.work.absolute(), arguments.dist.absolute()
    python = sys.executable if arguments.here else arguments.python
    try:
        check_needs(python, here=arguments.here)
        made = build(python if arguments.here else freezer(work, python), work, dist)
    except MissingError as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"It failed: {' '.join(str(part) for part in error.cmd)}", file=sys.stderr)
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
