"""The whole program at a server that has forgotten its client: one key in the terminal, and the sign-in works."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.test_runtime_process import LIMIT, Process
from tests.oauth.attempts import browse
from tests.oauth.authserver import auth_server
from tests.oauth.test_signin_forgotten import forget, hides_it

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a terminal")

CONFIG = '[settings]\nport = 0\n\n[workloads.one]\nurl = "{}/mcp"\n'


class Terminal:
    """A command whose standard input is a terminal."""

    def __init__(self, process: Process, *words: str) -> None:
        self._process = process
        self._keys, side = os.openpty()
        self._output = process.root / "terminal.txt"
        with self._output.open("wb") as output:
            self.command = subprocess.Popen(
                [sys.executable, "-m", "trayapp", *words],
                env=process.environment,
                cwd=process.root,
                stdin=side,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        os.close(side)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.command.poll() is None:
            self.command.kill()
        self.command.wait()
        os.close(self._keys)

    def type(self, keys: str) -> None:
        os.write(self._keys, keys.encode())

    def said(self) -> str:
        return self._output.read_text()

    async def page(self, number: int) -> str:
        """The sign-in page that it names, counted from 0."""

        def named() -> list[str]:
            return re.findall(r"http://\S+/authorize\?\S+", self.said())

        await asyncio.to_thread(self._process.until, lambda: len(named()) > number, f"page {number}")
        return named()[number]


async def test_a_person_who_sees_an_error_page_registers_again(tmp_path: Path) -> None:
    """Neither endpoint says that the client is unknown; the page does, to the person only."""

    async with auth_server(registers=True) as server:
        process = Process(tmp_path)
        process.config.write_text(CONFIG.format(server.base))
        with process:
            first = await asyncio.to_thread(process.client.post, "one", "reauthorize", {"browser": False})
            assert first["registered"] is True
            await browse(first["authorization_url"])
            await asyncio.to_thread(process.until, lambda: process.status()["status"] == "running", "running")

            forget(server)
            hides_it(server)
            with Terminal(process, "reauthorize", "one", "--no-browser") as terminal:
                assert "Something went wrong" in (await browse(await terminal.page(0))).text
                assert "If the page shows an error, type r and press Enter" in terminal.said()
                terminal.type("r\n")
                assert "Signed in to one" in (await browse(await terminal.page(1))).text
                assert 0 == await asyncio.to_thread(terminal.command.wait, LIMIT), terminal.said()
                assert "The last sign-in got no answer. Registering again." in terminal.said()
                assert "one is signed in for this run only." in terminal.said()  # there is no keyring here

    assert ["c-1", "c-1", "c-2"] == [asked["client_id"] for asked in server.authorized]
