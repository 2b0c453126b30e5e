"""The installed Amberlight on a real desktop: icon, menu, notification, start at login, and `/mcp`.

It is the script beside this interpreter, or what AMBERLIGHT_PROGRAM names: a frozen program, or the one of a package.
With AMBERLIGHT_SHOTS set to a directory, screenshots are saved there.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aggregate.site import text_of, tool_names
from tests.aggregate.upstream import Upstream
from tests.desktop.desk import Desk
from tests.desktop.program import CONFIG, NAME, Program
from tests.desktop.screen import wait_for
from tests.desktop.test_app import line_of, wait_for_icon
from trayapp.autostart.linux import command_of, read_entry
from trayapp.core.presentation import Colour
from trayapp.oauthtest import OAuthServer

pytestmark = pytest.mark.desktop

PROGRAM = Path(os.environ.get("AMBERLIGHT_PROGRAM") or Path(sys.prefix, "bin", "amberlight"))
SHOTS = os.environ.get("AMBERLIGHT_SHOTS")


def shot(desk: Desk, name: str) -> None:
    if SHOTS:
        desk.shot(Path(SHOTS) / f"{name}.png")


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path) -> Iterator[Program]:
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip(f"Amberlight is not installed here ({PROGRAM})")
    with OAuthServer(access_token_lifetime=1.0, grace=60) as server:
        program = Program(on_desk, tmp_path, server)
        program.python, program.program, program.module = (str(PROGRAM),), (), ()
        program.environment.pop("PYTHONPATH")  # an installation must not need it
        program.sign_in(server.issue(scope="mail"))
        yield program


async def called(program: Program, tool: str) -> tuple[set[str], str]:
    """The tools that `/mcp` lists to the official client, and the answer of one of them."""
    from mcp.client import Client

    access = await asyncio.to_thread(program.client().aggregate)
    key = access["headers"]["Authorization"].removeprefix("Bearer ")
    async with Client(access["url"].replace("/mcp", f"/k/{key}/mcp")) as client:
        return tool_names(await client.list_tools()), text_of(await client.call_tool(tool, {"text": "hello"}))


def test_icon_menu_notification_and_the_next_login(on_desk: Desk, program: Program) -> None:
    """Green on the panel; *Start at login* in the menu; red with a notification; and the login entry starts the app."""

    desk, entry = on_desk, program.root / "config/autostart/amberlight.desktop"
    with program:
        program.until_is("running", "ok")
        wait_for_icon(desk, Colour.GREEN)
        box = desk.open_menu()
        shot(desk, "menu")
        desk.click_row(box, line_of(desk, "Start at login"))
        wait_for(entry.exists, "the entry")
        assert "starts at login" in program.run("autostart")
        assert "Announced by rtnetlink" in program.run("doctor", codes=(0, 1)), (
            "a part that is loaded by name is missing"
        )
        program.server.revoke_all()
        wait_for_icon(desk, Colour.RED)
        assert 2 == len(desk.buttons(desk.notification()))
        shot(desk, "notification")
        assert 0 == program.quit(), program.tail()
    wait_for(lambda: not desk.tray_items(), "the icon to go")
    assert (
        str(PROGRAM) == read_entry(entry)["TryExec"]
        or PROGRAM.resolve() == Path(read_entry(entry)["TryExec"]).resolve()
    )
    program.python, program.arguments = command_of(read_entry(entry)["Exec"])[:-1], ()
    with program:
        program.until_up()
        wait_for_icon(desk, Colour.RED)
        box = desk.open_menu()
        shot(desk, "menu-red")
        desk.click_row(box, line_of(desk, "Start at login"))
        wait_for(lambda: not entry.exists(), "the entry to go")
        assert "Off" in program.run("autostart", "status")
        assert 0 == program.quit(), program.tail()
    wait_for(lambda: not desk.tray_items() and not desk.notifications(), "the screen to be empty")
    assert "Traceback" not in program.log()


async def test_all_workloads_at_mcp(program: Program) -> None:
    """The aggregate's process and libraries are installed too: a tool is found, and called with our token."""

    with Upstream(NAME, program.server) as upstream:
        program.configure(
            CONFIG.format(name=NAME, server=program.server).replace("http://127.0.0.1:9/mcp", upstream.url)
        )
        with program:
            await asyncio.to_thread(program.until_is, "running", "ok")
            names, answer = await called(program, f"{NAME}_say")
            assert {f"{NAME}_{tool}" for tool in upstream.tools} == names
            assert "hello" in answer
            assert 0 == await asyncio.to_thread(program.quit), program.tail()
    assert "Traceback" not in program.log()
