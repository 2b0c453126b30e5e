"""The version, as the package's metadata has it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _installed


def version() -> str:
    """Like `0.1.0`."""
    try:
        return _installed("amberlight")
    except PackageNotFoundError:  # run from a bare checkout
        return "0"
