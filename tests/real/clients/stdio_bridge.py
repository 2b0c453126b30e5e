"""`amberlight stdio` for the program of a test, whose files are below one directory: stdio_bridge.py DIRECTORY NAME|--all."""

from __future__ import annotations

import sys
from pathlib import Path

from trayapp.config.paths import Paths
from trayapp.stdio import main


class Nobody:
    """Starts nothing: the test says when the program runs."""

    def ensure(self) -> tuple[bool, str]:
        return False, "Amberlight isn't running. Start it: amberlight run"


if __name__ == "__main__":
    name = sys.argv[2]
    main.run(None if name == "--all" else name, Paths.under(Path(sys.argv[1])), Nobody())
