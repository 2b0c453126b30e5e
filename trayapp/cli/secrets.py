"""Reads a client secret from the terminal without echo, or from a pipe; never from the arguments (SECURITY.md 12)."""

from __future__ import annotations

import re
import sys

from trayapp.cli.output import print_error
from trayapp.core.model import Secret

INPUT_MAX = 4096  # characters read from a pipe
VISIBLE_ASCII = re.compile(r"[\x20-\x7e]{1,2048}")  # RFC 6749 appendix A.2


def read_secret(question: str) -> Secret | None:
    """The secret on one line; None if the input isn't usable as one."""
    if sys.stdin.isatty():
        from getpass import getpass

        text = getpass(question)
    else:
        text = sys.stdin.read(INPUT_MAX)
    text = text.strip("\r\n")
    return Secret(text) if VISIBLE_ASCII.fullmatch(text) else None


def asked_secret(name: str) -> Secret | None:
    """The client secret of a workload, typed without echo or piped; None, after a message, if it isn't usable."""
    secret = read_secret(f"Client secret for {name}: ")
    if secret is None:
        print_error("amberlight: no usable secret: expected one line of printable ASCII")
    return secret
