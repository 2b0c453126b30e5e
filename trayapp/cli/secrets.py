"""Asking for a secret in a terminal without showing it, or reading it from a pipe; never from the command line."""

from __future__ import annotations

import re
import sys

from trayapp.core.model import Secret

LARGEST = 4096  # characters read from a pipe
VISIBLE = re.compile(r"[\x20-\x7e]{1,2048}")  # RFC 6749 appendix A.2


def ask(question: str) -> Secret | None:
    """One line; None if nothing usable was given."""
    if sys.stdin.isatty():
        from getpass import getpass

        text = getpass(question)
    else:
        text = sys.stdin.read(LARGEST)
    text = text.strip("\r\n")
    return Secret(text) if VISIBLE.fullmatch(text) else None
