"""Exit codes, and the error of an output that can't be written."""

from __future__ import annotations

OK, FAILED, USAGE, NOT_RUNNING, NEEDS_SIGN_IN, RETRYING = range(6)
INTERRUPTED = 130  # as shells report Ctrl-C


class OutputError(Exception):
    """Standard output can't be written: a full disk, or nobody reads it any more. Only `main` catches it."""

    def __init__(self, error: OSError) -> None:
        closed = isinstance(error, BrokenPipeError)
        super().__init__("it was closed." if closed else f"{error.strerror or type(error).__name__}.")
