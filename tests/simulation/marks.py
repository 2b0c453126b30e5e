"""The markers of tests that simulate worlds."""

from __future__ import annotations

import pytest

WORLDS = [
    pytest.mark.slow,
    # A crash drops coroutines midway, as it must; the interpreter warns about those that had not started.
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
