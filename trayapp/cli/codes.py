"""Exit codes, and the error of an output that can't be written."""

from __future__ import annotations

import errno
import sys

OK, FAILED, USAGE, NOT_RUNNING, NEEDS_SIGN_IN, RETRYING = range(6)
TEMPORARY = 75  # EX_TEMPFAIL of sysexits.h, by which mail programs know that trying later helps
INTERRUPTED = 130  # as shells report Ctrl-C


class OutputError(Exception):
    """Standard output can't be written: a full disk, or nobody reads it any more. Only `main` catches it."""

    def __init__(self, error: OSError) -> None:
        # A pipe that nobody reads is ERROR_BROKEN_PIPE on Windows or, depending on the moment, ERROR_NO_DATA, which Python
        # calls an invalid argument. Writing a text to a stream gives it for no other reason.
        invalid = sys.platform == "win32" and error.errno == errno.EINVAL
        closed = isinstance(error, BrokenPipeError) or invalid
        super().__init__("it was closed." if closed else f"{error.strerror or type(error).__name__}.")
