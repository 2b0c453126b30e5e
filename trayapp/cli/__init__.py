"""The command line. `main` is what the command `amberlight` runs."""

from trayapp.cli.entry import main

__all__ = ["main"]
