"""Notes and sessions of the steady MCP endpoint on disk (mode 0600): read on first use, written a second after a change."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from trayapp.mcp import noted, sessions
from trayapp.mcp.messages import Json
from trayapp.mcp.noted import Notes
from trayapp.mcp.sessions import Session, Sessions
from trayapp.system.plain_files import read_plain
from trayapp.system.private_files import NotPrivateError, write_private

log = logging.getLogger(__name__)

DELAY = 1.0  # s from a change to its writing: a client that starts asks for several lists in a row
FILE_MAX = 32 * 1024 * 1024  # bytes; a longer file is not one of ours


class SteadyStore:
    """Belongs to the server's loop. `directory` None: nothing outlives the run (the demo, some tests)."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._notes: dict[str, Notes] = {}
        self._sessions: Sessions | None = None
        self._lock = asyncio.Lock()
        self._saving: asyncio.Task[None] | None = None

    @property
    def known_sessions(self) -> Sessions | None:
        """All sessions, if they have been read."""
        return self._sessions

    async def sessions(self) -> Sessions:
        """All sessions."""
        if self._sessions is None:
            async with self._lock:
                if self._sessions is None:
                    self._sessions = sessions.load(await self._read("sessions.json"))
        return self._sessions

    async def begin(self, workload: str, path: str, account: str, params: Json, told: Json) -> Session:
        """A new session."""
        session = (await self.sessions()).begin(workload, path, account, params, told)
        self.changed()
        return session

    async def session_changed(self) -> None:
        """Something of a session is to outlive a restart."""
        (await self.sessions()).changed = True
        self.changed()

    def end(self, session: Session) -> None:
        """Its id is unknown from now on."""
        if self._sessions is not None:
            self._sessions.end(session)
            self.changed()

    async def notes(self, workload: str) -> Notes:
        """The notes of one workload."""
        found = self._notes.get(workload)
        if found is None:
            async with self._lock:
                found = self._notes.get(workload)
                if found is None:
                    found = self._notes[workload] = noted.load(await self._read(f"notes-{workload}.json"))
        return found

    def legacy(self, workload: str, announced: bool = True) -> None:
        """Whether its server speaks the legacy SSE transport. Its notes have been read by then: every GET reads them."""
        notes = self._notes.get(workload)
        if notes is not None and notes.legacy != announced:
            notes.legacy, notes.changed = announced, True
            self.changed()

    def changed(self) -> None:
        """Something is to be written soon."""
        if self._directory is not None and (self._saving is None or self._saving.done()):
            self._saving = asyncio.get_running_loop().create_task(self._save_soon(), name="save what MCP servers said")

    async def forget(self, workload: str) -> None:
        """The workload is gone, and what was noted of it."""
        self._notes.pop(workload, None)
        (await self.sessions()).forget(workload)
        if self._directory is not None:
            self.changed()
            try:
                await asyncio.to_thread((self._directory / f"notes-{workload}.json").unlink, missing_ok=True)
            except OSError as error:
                log.warning("could not delete what %s offered: %s", workload, error)

    async def close(self) -> None:
        """Write what is not written yet."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        await self._save()

    async def _save_soon(self) -> None:
        while self._unsaved():  # also what changed while the last of it was written
            await asyncio.sleep(DELAY)
            await self._save()

    def _unsaved(self) -> bool:
        sessions = self._sessions
        return (sessions is not None and sessions.changed) or any(each.changed for each in self._notes.values())

    async def _save(self) -> None:
        texts = {f"notes-{name}.json": each for name, each in self._notes.items() if each.changed}
        for file, each in texts.items():
            each.changed = False
            await self._write(file, each.dump())
        if self._sessions is not None and self._sessions.changed:
            self._sessions.changed = False
            await self._write("sessions.json", self._sessions.dump())

    async def _read(self, file: str) -> str:
        if self._directory is None:
            return ""
        return await asyncio.to_thread(_read, self._directory / file)

    async def _write(self, file: str, text: str) -> None:
        if self._directory is None:
            return
        try:
            await asyncio.to_thread(write_private, self._directory / file, text)
        except (OSError, NotPrivateError) as error:
            log.warning("what MCP servers offer is not kept: %s", error)


def _read(path: Path) -> str:
    """The text; empty if there is none, or what is there cannot be one of ours."""
    try:
        content = read_plain(path, FILE_MAX, follow=False)
        return content.decode("utf-8") if len(content) <= FILE_MAX else ""
    except (OSError, ValueError):
        return ""
