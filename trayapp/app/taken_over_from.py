"""From whom a workload was taken over, for its page. Before the first take-over, this costs a look for one file."""

from __future__ import annotations

import os
from pathlib import Path

from trayapp.core.model import Spec
from trayapp.core.owners import TITLES
from trayapp.external.places import TAKE_OVERS
from trayapp.system.worker import HangingError, run_alone

LIMIT = 2.0  # s; the page shows the rest of the workload without it


async def taken_over_from(spec: Spec, state_dir: Path, limit: float = LIMIT) -> str | None:
    """The title of the program that had it; None if none had, or the record can't be read."""
    try:
        return await run_alone("look for a take-over", lambda: _owner(spec, state_dir), limit)
    except HangingError:
        return None


def _owner(spec: Spec, state_dir: Path) -> str | None:
    if not os.path.exists(state_dir / TAKE_OVERS):  # noqa: PTH110 - never raises
        return None
    from trayapp.external.take_over import is_its  # here, as few have taken anything over
    from trayapp.external.taken_over import Records

    record = Records(state_dir).get(spec.name)
    if record is None or not is_its(spec, record):
        return None
    return TITLES.get(record.owner, record.owner)
