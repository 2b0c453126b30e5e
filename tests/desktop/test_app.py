"""The real app in its tray, with the real keyring: what a person sees and clicks, and what happens without a panel, a
bus or a display."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from trayapp.core.presentation import Colour
from trayapp.oauthtest import Mode, OAuthServer

pytestmark = pytest.mark.desktop

SEEN = 0.02  # of the icon's square: a colour that is there at all
REAUTHORIZE = 1  # line of the menu below the summary, where it is needed
QUIT = -1
NO_HOST = "This desktop shows no tray icons"
# The app waits 15 s for a panel before it says that there is none; here one.
IMPATIENT = """
import sys
from trayapp.tray.sni import Icon
Icon.__init__.__kwdefaults__["host_grace"] = 1.0
from trayapp.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer(access_token_lifetime=1.0, grace=60) as server:
        yield server


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path, server: OAuthServer) -> Iterator[Program]:
    """Signed in and running, with a green icon."""
    program = Program(on_desk, tmp_path, server)
    program.sign_in(server.issue(scope="mail"))
    with program:
        program.until_is("running", "ok")
        shows(on_desk, Colour.GREEN)
        yield program
        on_desk.close_menu()
    wait_for(lambda: not on_desk.tray_items(), "the icon to go")
    wait_for(lambda: not on_desk.notifications(), "the notifications to go")
    assert "Traceback" not in program.log()


def shows(desk: Desk, wanted: Colour) -> None:
    """Wait until the icon has this one colour."""

    def seen() -> bool:
        shares = desk.icon_shares(Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE)
        return {colour for colour, share in shares.items() if share > SEEN} == {wanted}

    wait_for(seen, f"an icon in {wanted}", 15)


def labels(desk: Desk) -> list[str]:
    """The lines of text of the menu, from above."""
    (item,) = desk.tray_items()
    asked = ("com.canonical.dbusmenu.GetLayout", "int32:0", "int32:1", "array:string:label")
    text = desk.call(item.split("/")[0], "/MenuBar", *asked)
    return re.findall(r'string "label"\s+variant\s+string "(.*)"', text)


def line_of(desk: Desk, label: str) -> int:
    """Which of them this is."""
    return labels(desk).index(label)


def test_a_firewall_and_a_verdict_on_the_panel(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """Amber and green by itself; red with a notification, whose button opens the sign-in page and makes it green."""

    server.mode = Mode.FIREWALL
    shows(on_desk, Colour.AMBER)
    assert [] == on_desk.notifications()
    server.mode = Mode.SUCCESS
    shows(on_desk, Colour.GREEN)
    assert 0 == server.count("authorize")

    server.revoke_all()
    shows(on_desk, Colour.RED)
    on_desk.press_button(0)
    shows(on_desk, Colour.GREEN)
    program.until_is("running", "ok")
    assert ["came", "200"] == program.visits()


def test_a_verdict_is_mended_from_the_menu(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """The line at the top, clicked twice in haste, opens one page."""

    server.revoke_all()
    shows(on_desk, Colour.RED)
    x, y = on_desk.open_menu()[0] + 40, on_desk.rows(on_desk.menus()[0])[REAUTHORIZE]
    on_desk.xdo("mousemove", x, y, "sleep", "0.15", "click", "--repeat", 2, "--delay", 40, 1)
    shows(on_desk, Colour.GREEN)
    assert ["came", "200"] == program.visits()


def test_muted_is_quiet_and_kept(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """*Mute notifications*: red without a word, and after a restart too."""

    on_desk.click_row(on_desk.open_menu(), line_of(on_desk, "Mute notifications"))
    wait_for(program.paths.muted_file.exists, "the wish to be kept")
    server.revoke_all()
    shows(on_desk, Colour.RED)
    time.sleep(0.5)
    assert [] == on_desk.notifications()
    assert 0 == program.quit()
    with program:
        program.until_is("unauthenticated", "refused")
        shows(on_desk, Colour.RED)
        time.sleep(0.5)
        assert [] == on_desk.notifications()
        assert 0 == program.quit()


def test_quit_in_the_menu_ends_it(on_desk: Desk, program: Program) -> None:
    """With exit code 0, its icon gone, and server.json with it."""

    on_desk.click_row(on_desk.open_menu(), QUIT)
    assert 0 == program.ends(), program.tail()
    assert not (program.paths.runtime_dir / "server.json").exists()
    assert 3 == program.command("list").returncode


def test_a_panel_that_restarts_shows_the_icon_again(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """With the state of now; the menu works, and the short absence is no news."""

    on_desk.stop_panel()
    server.mode = Mode.FIREWALL
    program.until(lambda seen: seen["status"] == "auth_retrying", "amber")
    on_desk.start_panel()
    shows(on_desk, Colour.AMBER)
    assert NO_HOST not in program.log()
    on_desk.click_row(on_desk.open_menu(), QUIT)
    assert 0 == program.ends(), program.tail()


def doctor(program: Program) -> str:
    """What `doctor` says of the running app."""
    done = program.command("doctor", "--json")
    return " ".join(check["text"] for check in json.loads(done.stdout) if check["name"].startswith("app"))


def test_a_desktop_without_a_tray_is_told_once(tmp_path: Path, server: OAuthServer) -> None:
    """By notification, log and doctor; the app does its work, and a panel that comes later shows the icon."""

    require_desk()
    with Desk(panel=False, keyring_password=None) as desk:
        program = Program(desk, tmp_path, server)
        program.program = ("-c", IMPATIENT)
        with program:
            box = desk.notification()
            assert NO_HOST in doctor(program)
            desk.click(box[0] + 40, box[1] + 20)
            wait_for(lambda: not desk.notifications(), "the notification to go")
            program.run("reauthorize", program.name)
            program.until_is("running", "not_stored")
            time.sleep(1.5)
            assert [] == desk.notifications()
            assert 1 == program.log().count(NO_HOST)
            desk.start_panel()
            shows(desk, Colour.GREEN)
            assert NO_HOST not in doctor(program)
            assert 0 == program.quit(), program.tail()


def test_without_a_display_and_a_bus(tmp_path: Path, server: OAuthServer) -> None:
    """`amberlight run` says in one line that there is no icon, and runs; every command works."""

    require_desk()
    with Desk(panel=False, notifications=False, keyring_password=None) as desk:
        program = Program(desk, tmp_path, server)
        for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS", "XDG_CURRENT_DESKTOP"):
            program.environment.pop(name, None)
        with program:
            program.until_is("auth_retrying", "keyring_unavailable")
            program.run("reauthorize", program.name)
            assert "not_stored" == program.until(lambda seen: seen["status"] == "running", "running")["auth"]["detail"]
            assert server.valid_access(program.run("token", program.name, "--min-validity", "0").strip())
            assert program.name in program.run("list")
            assert 0 == program.quit(), program.tail()
    assert 1 == program.log().count("no tray icon: this session has no D-Bus session bus")
    assert "Traceback" not in program.log()
    assert "" == program.output.read_text()


def test_a_bus_that_ends(tmp_path: Path, server: OAuthServer) -> None:
    """Logging out of a desktop may leave the app behind: it goes on, says so once, and ends when it is told to."""

    require_desk()
    with Desk(keyring_password=None) as desk:
        program = Program(desk, tmp_path, server)
        with program:
            program.until_is("auth_retrying", "keyring_unavailable")
            program.run("reauthorize", program.name)
            program.until_is("running", "not_stored")
            shows(desk, Colour.GREEN)
            desk.end_session_bus()
            wait_for(lambda: "the tray icon is gone" in program.log(), "a word about it")
            sent = server.count("token")
            assert server.wait("token", times=sent + 2), "refreshing goes on"
            program.until_is("running", "not_stored")
            assert 0 == program.quit(), program.tail()
    assert "Traceback" not in program.log()
