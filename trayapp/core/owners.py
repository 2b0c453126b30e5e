"""Names of the other programs whose workloads are shown, by the part of `OWNER/NAME` before the slash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TITLES: Final[Mapping[str, str]] = {"toolhive": "ToolHive"}
