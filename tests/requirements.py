"""What a test needs of the machine beyond Python packages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest


def skip_or_fail(what: str) -> NoReturn:
    """Something that the test needs isn't there: skip on a laptop; fail in CI, where nobody would notice a skip."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def require_links(folder: Path) -> None:
    """Skip where programs can't make symbolic links: Windows without the privilege, and Wine 8."""
    link = folder / "a link of a test"
    try:
        link.symlink_to(folder / "nowhere")
        made = link.is_symlink()
    except OSError:
        made = False
    link.unlink(missing_ok=True)
    if not made:
        pytest.skip("no symbolic links here: Wine 8 makes none")
