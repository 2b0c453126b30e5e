"""Close the parts of the app one after the other. None of them holds up the others for long, whatever happens to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

log = logging.getLogger(__name__)

LIMIT = 3.0  # s for each part; a keyring or a disk that hangs must not hold up the quit


async def close_all(parts: Iterable[tuple[str, Callable[[], Awaitable[object]]]]) -> None:
    """Close them in this order; each has a name for the log."""
    for what, closing in parts:
        try:
            async with asyncio.timeout(LIMIT):
                await closing()
        except TimeoutError:
            log.warning("%s did not end in time and is left behind", what)
        except Exception:  # the others still have to be closed
            log.exception("%s did not end well", what)
