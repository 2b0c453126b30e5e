"""`python packaging/windows/installer/lock.py`: pins what is frozen for Windows, each wheel by version and hash.

From pyproject.toml, constraints.txt and frozen.in, uv finds what pip on Windows would install. Only the hashes of wheels
that fit are kept, so frozen.txt has about one line a package. Run it when one of the three changes: a test says so.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
UV = ROOT / "build/windows/uv/bin/uv"  # lane.sh puts it there
PYTHON = "3.13"
HEAD = "# Every wheel that is frozen for Windows. packaging/windows/installer/lock.py writes this file.\n"


def locked(packages: Iterable[Mapping[str, Any]]) -> str:
    """The requirements of a pylock.toml (PEP 751), sorted by name."""
    lines = []
    for package in sorted(packages, key=lambda package: str(package["name"])):
        hashes = sorted(wheel["hashes"]["sha256"] for wheel in package["wheels"])
        lines.append(
            " ".join([f"{package['name']}=={package['version']}", *(f"--hash=sha256:{each}" for each in hashes)])
        )
    return HEAD + "".join(f"{line}\n" for line in lines)


def resolved(uv: str) -> list[dict[str, Any]]:
    """What uv chooses for Windows. Raises `CalledProcessError`, after its own words."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "pylock.toml")
        command = [uv, "pip", "compile", "--quiet", "--python-platform", "windows", "--python-version", PYTHON]
        command += [
            "--only-binary",
            ":all:",
            "-c",
            str(ROOT / "packaging/constraints.txt"),
            str(ROOT / "pyproject.toml"),
        ]
        subprocess.run([*command, str(HERE / "frozen.in"), "-o", str(output)], check=True, stdout=subprocess.DEVNULL)
        packages: list[dict[str, Any]] = tomllib.loads(output.read_text(encoding="utf-8"))["packages"]
        return packages


def main() -> int:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    uv = str(UV) if UV.is_file() else shutil.which("uv")
    if uv is None:
        print("uv isn't here. `packaging/dev.sh test --windows` brings it.", file=sys.stderr)
        return 1
    try:
        (HERE / "frozen.txt").write_text(locked(resolved(uv)), encoding="utf-8")
    except subprocess.CalledProcessError:
        print("uv found no set of versions; its words are above.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
