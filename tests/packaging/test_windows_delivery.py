"""The delivery for Windows, in Wine: installed, used, upgraded while it runs, removed; and the portable archive.

`packaging/dev.sh release --windows` runs this, on a Windows computer where nothing was ever installed. The tests share it,
and each leaves it without Amberlight.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.packaging.windows_computer import LIMIT, Amberlight, Computer, until
from trayapp import __version__
from trayapp.autostart.windows import APPROVED, NAME, RUN
from trayapp.oauthtest import OAuthServer
from trayapp.oauthtest.browser import browse
from trayapp.oauthtest.mcp import EchoWorkload
from trayapp.system import windows_path
from trayapp.system.activation import APP_KEY, COMMAND_KEY, SCHEME_KEY

DELIVERY = os.environ.get("AMBERLIGHT_DELIVERY", "")
SETUP = Path(DELIVERY, f"amberlight-{__version__}-setup.exe")
PATHS = r"Software\Microsoft\Windows\CurrentVersion\App Paths\amberlight.exe"
UNINSTALL = r"Software\Microsoft\Windows\CurrentVersion\Uninstall\Amberlight"
VAULT = r"Software\Wine\Credential Manager"

pytestmark = [
    pytest.mark.delivery,
    pytest.mark.skipif(not DELIVERY, reason="packaging/dev.sh release --windows runs it"),
]


@pytest.fixture(scope="module")
def computer() -> Iterator[Computer]:
    computer = Computer()
    yield computer
    computer.end()


@pytest.fixture
def installed(computer: Computer) -> Amberlight:
    local = computer.local
    return Amberlight(computer, local / "Programs/Amberlight", local / "amberlight", local / "Temp/amberlight")


@pytest.fixture(scope="module")
def authority() -> Iterator[OAuthServer]:
    """Where the person signs in, without a question."""
    with OAuthServer(check=False, subject="ada") as server:
        yield server


@pytest.fixture(scope="module")
def notes(authority: OAuthServer) -> Iterator[EchoWorkload]:
    """An MCP server behind it."""
    with EchoWorkload(authority, name="notes") as workload:
        yield workload


def run_setup(computer: Computer) -> None:
    """Silently."""
    assert 0 == computer.run(SETUP, "/S").code


def add_and_sign_in(amberlight: Amberlight, notes: EchoWorkload, authority: OAuthServer) -> None:
    """As the dashboard does it; the browser is a stand-in. `openid` brings an ID token, whose signature is checked."""
    options = ("--client-id", authority.client_id, "--scope", "openid", "--no-sign-in")
    amberlight.ok("add", "notes", notes.url, *options)
    until(lambda: amberlight.status("notes") == "unauthenticated", "the new workload")
    began = amberlight.api.post("notes", "reauthorize", {"browser": False, "flow": "browser"})
    assert 200 == browse(str(began["authorization_url"]))
    until(lambda: amberlight.status("notes") == "running", "the sign-in")


def echo(amberlight: Amberlight, tool: str, access: dict[str, object]) -> str:
    """Call a tool as a client does that was given this."""
    headers = {"Accept": "application/json, text/event-stream", **access["headers"]}  # type: ignore[dict-item]
    said = {"name": tool, "arguments": {"message": "hello"}}
    with httpx2.Client(trust_env=False, timeout=60, headers=headers) as client:
        answers = []
        about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        for number, (method, parameters) in enumerate((("initialize", about), ("tools/call", said)), 1):
            body = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
            answer = client.post(str(access["url"]), json=body)
            assert 200 == answer.status_code, answer.text
            if session := answer.headers.get("mcp-session-id"):
                client.headers["mcp-session-id"] = session
            answers.append(answer.text)
    return answers[-1]


def on_search_path(computer: Computer) -> int:
    """How often it has the directory of the program. After a removal nothing of it is left."""
    entries = computer.value(windows_path.KEY, windows_path.NAME).lower().split(";")
    return sum(entry.endswith(r"\programs\amberlight") for entry in entries)


def assert_gone(computer: Computer, installed: Amberlight) -> None:
    """Program, start menu, registry and processes."""
    until(lambda: not installed.home.exists(), "the removal")
    until(lambda: not computer.value(UNINSTALL, "DisplayVersion"), "the end of the removal")
    assert not link(computer).exists()
    assert "" == computer.default(SCHEME_KEY) == computer.default(COMMAND_KEY)
    for key, name in ((RUN, NAME), (APPROVED, NAME), (APP_KEY, "DisplayName"), (PATHS, "")):
        assert "" == computer.value(key, name)
    assert 0 == on_search_path(computer)
    assert [] == computer.running()


def unpacked(computer: Computer, home: Path) -> Amberlight:
    """A portable one."""
    return Amberlight(computer, home, home / "amberlight-home", home / "amberlight-home/run")


def link(computer: Computer) -> Path:
    return computer.roaming / "Microsoft/Windows/Start Menu/Programs/Amberlight.lnk"


def test_installed_used_upgraded_and_removed(
    computer: Computer, installed: Amberlight, notes: EchoWorkload, authority: OAuthServer
) -> None:
    """Silently, and nothing is left but what was to be kept: configuration, history and logins."""

    done = computer.run(SETUP, "/S", debug="fixme+shell")
    # Wine's shortcuts have no properties, but it says that Setup gives this one its AppUserModelID.
    assert (0, True) == (done.code, "propertystore_SetValue" in done.stderr and "propertystore_Commit" in done.stderr)
    assert f"amberlight {__version__}" == installed.ok("version").strip()
    assert __version__ == computer.value(UNINSTALL, "DisplayVersion")
    assert "Amberlight" == computer.value(APP_KEY, "DisplayName")
    assert Path(installed.home, "_internal/trayapp/tray/app.png").is_file()  # what IconUri names
    assert "URL:Amberlight" == computer.default(SCHEME_KEY)
    assert computer.default(COMMAND_KEY).lower().endswith(r'\programs\amberlight\amberlightw.exe" activate "%1"')
    entry = link(computer).read_bytes()
    assert (True, True) == (rb"Programs\Amberlight\amberlightw.exe" in entry, "run --page".encode("utf-16-le") in entry)
    assert 1 == on_search_path(computer)
    assert "" == computer.value(RUN, NAME), "start at login is the person's choice"
    assert [] == computer.running(), "Setup starts nothing unasked"

    app = installed.start()
    add_and_sign_in(installed, notes, authority)
    assert "Connected" in installed.ok("list")
    assert "Windows" in installed("doctor").stdout
    assert "hello" in echo(installed, "echo", dict(installed.api.client("notes")))
    assert "hello" in echo(installed, "notes_echo", dict(installed.api.aggregate()))
    assert 2 == installed("activate", "amberlight:quit").code, "no address but the one"
    installed.ok("autostart", "on")
    assert "amberlightw.exe" in computer.value(RUN, NAME)
    toml, yaml = computer.user / ".codex/config.toml", computer.roaming / "Block/goose/config/config.yaml"
    for client, file, own in (("codex", toml, 'model = "m"\n'), ("goose", yaml, "GOOSE_MODE: auto\n")):
        file.parent.mkdir(parents=True)
        file.write_text(own)
        installed.ok("connect", client, "notes")
        assert (True, True) == (file.read_text().startswith(own), "127.0.0.1" in file.read_text())

    bridge = computer.start(installed.home / "amberlight.exe", "stdio", "notes")  # a client's, which nobody quits
    (installed.home / "_internal/of_the_old_version.txt").touch()
    old = installed.server()["pid"]
    run_setup(computer)
    assert 0 == app.wait(LIMIT), "the old one has quit in order"
    installed.until_up(not_pid=old)
    assert not (installed.home / "_internal/of_the_old_version.txt").exists()
    until(lambda: installed.status("notes") == "running", "the login after the upgrade")
    assert "amberlightw.exe" in computer.value(RUN, NAME)
    assert 1 == on_search_path(computer)
    bridge.kill()
    bridge.wait(LIMIT)

    computer.run(installed.home / "uninstall.exe", "/S")
    assert_gone(computer, installed)
    assert "notes" in next(installed.files.rglob("config.toml")).read_text()
    assert (False, False) == ("127.0.0.1" in toml.read_text(), "127.0.0.1" in yaml.read_text())
    assert 0 == authority.count("revoke")


def test_set_up_and_removed_by_hand(
    computer: Computer, installed: Amberlight, notes: EchoWorkload, authority: OAuthServer
) -> None:
    """Setup's last page starts the program; the uninstaller asks about the logins, and deletes them if it is to."""

    setup = computer.start(SETUP)
    computer.press("Install", "Finish")
    assert 0 == setup.wait(LIMIT)
    installed.until_up()
    if not installed.api.workloads():
        add_and_sign_in(installed, notes, authority)
    until(lambda: installed.status("notes") == "running", "the login of the last installation")
    assert "notes" in computer.run("reg", "query", f"HKCU\\{VAULT}", "/s").stdout

    uninstaller = computer.start(installed.home / "uninstall.exe")
    computer.press("Yes", "Uninstall", "Close")
    uninstaller.wait(LIMIT)
    assert_gone(computer, installed)
    assert (False, False) == (installed.files.exists(), installed.runtime.exists())
    assert 1 <= authority.count("revoke")
    assert "notes" not in computer.run("reg", "query", f"HKCU\\{VAULT}", "/s").stdout


def test_portable_archive(computer: Computer) -> None:
    """Unpacked where a person puts it, it keeps its files beside itself, wherever that is moved."""

    place = computer.user / "Documents/Tragbar ÄÖ ß"
    with zipfile.ZipFile(Path(DELIVERY, f"amberlight-{__version__}-windows.zip")) as archive:
        archive.extractall(place)
    (home,) = place.iterdir()
    portable = unpacked(computer, home)

    app = portable.start()
    portable.ok("add", "notes", "http://127.0.0.1:9/mcp", "--no-sign-in")
    assert "notes" in portable.ok("list")
    assert "notes" in (portable.files / "config/config.toml").read_text()
    portable.ok("quit")
    assert 0 == app.wait(LIMIT)
    moved = home.rename(computer.user / "Documents/moved")
    portable = unpacked(computer, moved)
    app = portable.start()
    assert "notes" in portable.ok("list")
    assert str(moved.name) in portable.ok("config", "path")
    portable.ok("quit")
    assert 0 == app.wait(LIMIT)
    assert not (computer.local / "amberlight").exists()
    assert [] == computer.running()


def test_demo_of_the_frozen_program(computer: Computer, tmp_path: Path) -> None:
    """A day in seconds: most of the program is loaded by it."""

    with zipfile.ZipFile(Path(DELIVERY, f"amberlight-{__version__}-windows.zip")) as archive:
        archive.extractall(tmp_path)
    (home,) = tmp_path.iterdir()
    demo = unpacked(computer, home).ok("demo", "--no-tray", "--fast", "--exit")
    assert "Traceback" not in demo
