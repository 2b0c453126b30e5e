"""The tests mirror `trayapp/`; what several packages share stands in `tests/conftest.py` and beside this file."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # the checkout
