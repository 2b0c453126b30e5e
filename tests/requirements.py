"""What a test needs of the machine beyond Python packages."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip_or_fail(what: str) -> NoReturn:
    """Something that the test needs isn't there: skip on a laptop; fail in CI, where nobody would notice a skip."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
