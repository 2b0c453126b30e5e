"""Copy text to the clipboard, using the desktop's own program for it; on Windows, Windows itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys

from trayapp.system.processes import end_process

PROGRAMS: tuple[tuple[str, ...], ...] = (
    ("wl-copy",),
    ("xclip", "-selection", "clipboard"),
    ("xsel", "--clipboard", "--input"),
)
LIMIT = 5.0  # s for one program


async def copy(text: str) -> bool:
    """Whether some program accepted the text. It is passed on standard input, never as an argument."""
    if sys.platform == "win32":
        from trayapp.system.windows_clipboard import copy as copy_here

        return await asyncio.to_thread(copy_here, text)
    for program in (("pbcopy",),) if sys.platform == "darwin" else PROGRAMS:
        if shutil.which(program[0]) and await _pipe_to(program, text):
            return True
    return False


def _environment() -> dict[str, str] | None:
    """pbcopy reads its input in the encoding of the locale, and a login sets none."""
    if sys.platform != "darwin":
        return None
    return {**{name: value for name, value in os.environ.items() if name != "LC_ALL"}, "LC_CTYPE": "UTF-8"}


async def _pipe_to(program: tuple[str, ...], text: str) -> bool:
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *program,
            stdin=asyncio.subprocess.PIPE,
            stdout=quiet,
            stderr=quiet,
            env=_environment(),
        )
    except OSError:  # it exists but can't be run
        return False
    try:
        async with asyncio.timeout(LIMIT):
            await process.communicate(text.encode())
    except TimeoutError:
        return False
    finally:
        await end_process(process)
    return process.returncode == 0
