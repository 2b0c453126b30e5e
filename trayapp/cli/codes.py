"""Exit codes."""

from __future__ import annotations

OK, FAILED, USAGE, NOT_RUNNING, NEEDS_SIGN_IN, RETRYING = range(6)
INTERRUPTED = 130  # as shells report Ctrl-C
BROKEN_PIPE = 141  # as shells report a program that got SIGPIPE
