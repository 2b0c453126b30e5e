"""`python packaging/pyinstaller/freeze.py`: builds the frozen program into dist/amberlight, in an environment of its own.

The environment (build/freezer) holds only the dependencies, in the versions of constraints.txt, and PyInstaller, so that
nothing else gets in; Amberlight itself comes from this checkout. `--python` chooses the interpreter of the environment,
`--here` freezes with the interpreter that runs this script.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SPEC = ROOT / "packaging" / "pyinstaller" / "amberlight.spec"
FREEZER = "pyinstaller>=6.22,<7"


def freezer(work: Path, python: str) -> str:
    """The interpreter of the freezing environment, which is created if missing."""
    place = work / "freezer"
    scripts = "Scripts" if os.name == "nt" else "bin"
    inside = place / scripts / ("python.exe" if os.name == "nt" else "python")
    if not inside.exists():
        subprocess.run([python, "-m", "venv", place], check=True)
    constraints = ROOT / "packaging" / "constraints.txt"
    install = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"]  # not Amberlight itself
    subprocess.run([*install, "-c", str(constraints), *wanted], check=True)
    subprocess.run([*install, FREEZER], check=True)
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
    try:
        python = sys.executable if arguments.here else freezer(work, arguments.python)
        made = build(python, work, dist)
    except subprocess.CalledProcessError as error:
        print(f"It failed: {' '.join(str(part) for part in error.cmd)}", file=sys.stderr)
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
