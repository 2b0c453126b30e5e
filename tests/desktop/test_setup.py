"""`amberlight setup` as a person sees it: a terminal, a keyring, a browser, clients' files, and a tool call at the end."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from tests.aggregate.site import text_of
from tests.desktop.desk import Desk
from tests.desktop.fresh_home import PROGRAM, FreshHome
from tests.real.terminal import Terminal
from trayapp.oauthtest import EchoWorkload, OAuthServer, browse

pytestmark = pytest.mark.desktop

CANARY = "canary-5d1f"
ENTER = "\r"
KEEP, SIGN_IN, CONNECT, CODEX, LOGIN = (
    r"Keep notes signed in\? \[Y/n\] ",
    r"Sign in to notes in your browser\? \[Y/n\] ",
    r"Which do you want to connect\? \[Enter: all, 1 2: these, n: none\] ",
    r"Connect Codex\? \[Y/n\] ",
    r"Start Amberlight when you log in\? \[Y/n\] ",
)
ALL = ((KEEP, ENTER), (SIGN_IN, ENTER), (CONNECT, ENTER), (LOGIN, ENTER))
WITHOUT_LOGIN = ((KEEP, ENTER), (SIGN_IN, ENTER), (CODEX, ENTER), (LOGIN, ENTER))


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer(registration=True, canary=CANARY) as server:
        yield server


@pytest.fixture
def workload(server: OAuthServer) -> Iterator[EchoWorkload]:
    with EchoWorkload(server) as workload:
        yield workload


@pytest.fixture
def fresh(on_desk: Desk, tmp_path: Path, workload: EchoWorkload) -> Iterator[FreshHome]:
    """Claude Code has the server, with a sign-in of its own; Codex has none. The home is not plain ASCII."""
    if not PROGRAM.exists():
        pytest.skip(f"Amberlight is not installed here ({PROGRAM})")
    with FreshHome(on_desk, tmp_path, "héé ím 家") as fresh:
        fresh.configure_port()
        fresh.give_claude({"notes": workload.url})
        fresh.give_codex()
        yield fresh


def answer(terminal: Terminal, *steps: tuple[str, str]) -> int:
    """Press these keys when these questions are asked; the exit code."""
    for question, keys in steps:
        terminal.follow(question)
        terminal.type(keys)
    return terminal.wait()


class _Public(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, b'{"jsonrpc":"2.0","id":1,"result":{}}')

    def do_GET(self) -> None:
        self._answer(404, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def public_server() -> Iterator[str]:
    """The address of a server that everybody may use."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Public) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/mcp"
        server.shutdown()
        thread.join()


async def call(entry: Mapping[str, Any], headers: str, environment: Mapping[str, str]) -> str:
    """The answer of the tool, called by the official client with what a client's file says."""
    if "command" in entry:
        program = StdioServerParameters(command=entry["command"], args=entry["args"], env=dict(environment))
        async with Client(stdio_client(program)) as client:
            return await echoed(client)
    async with (
        create_mcp_http_client(headers=entry[headers]) as http,
        Client(streamable_http_client(entry["url"], http_client=http)) as client,
    ):
        return await echoed(client)


async def echoed(client: Client) -> str:
    result = await client.call_tool("echo", {"message": "hello"})
    return text_of(result)


async def test_from_nothing_to_a_tool_call(fresh: FreshHome, server: OAuthServer, workload: EchoWorkload) -> None:
    """Four key presses and one sign-in; both clients call the tool; no key and no token is where others can read it."""

    project = fresh.home / "project"
    (project / ".git").mkdir(parents=True)
    (project / ".mcp.json").write_text("{}")
    before = fresh.claude_file.read_bytes(), fresh.codex_file.read_bytes()
    with fresh.terminal("setup") as terminal:
        code = answer(terminal, *ALL)
        screen = terminal.screen
        assert not terminal.hostile()
    assert 0 == code, screen
    assert "1 of 1 workload signed in." in screen
    assert 1 == server.count("register") == server.count("authorize")
    assert "state=" not in screen, "the address of a sign-in is shown only if it is needed"
    assert "hello" == await call(fresh.claude_entry("notes"), "headers", fresh.env)
    assert "hello" == await call(fresh.codex_entry("notes"), "http_headers", fresh.env)
    assert 2 == sum(each.rpc_method == "tools/call" and each.outcome == "ok" for each in workload.calls)
    assert (fresh.root / "config/autostart/amberlight.desktop").exists()

    key = fresh.claude_entry("notes")["headers"]["Authorization"].removeprefix("Bearer ")
    assert len(key) > 20
    assert key not in screen
    for secret in (key.encode(), CANARY.encode()):
        assert not [line for line in fresh.command_lines if secret in line]
        assert not [file for file in fresh.open_files() if secret in file.read_bytes()]
        assert not [file for file in project.rglob("*") if file.is_file() and secret in file.read_bytes()]
    assert any(b"setup" in line for line in fresh.command_lines), "the process list was not watched"
    assert CANARY not in fresh.paths.log_file.read_text()

    with fresh.terminal("setup") as terminal:  # nothing is missing: nothing is asked
        assert 0 == answer(terminal), terminal.screen
        assert "?" not in terminal.screen
    with fresh.terminal("disconnect") as terminal:
        assert 0 == answer(terminal), terminal.screen
    assert before == (fresh.claude_file.read_bytes(), fresh.codex_file.read_bytes())


async def test_what_is_missing_is_offered_again(fresh: FreshHome, server: OAuthServer) -> None:
    """Everything skipped; then only what was skipped is asked for; Ctrl-C in a sign-in skips it, and elsewhere it stops."""

    fresh.env["BROWSER"] = "/bin/true %s &"  # a page that nobody looks at
    with fresh.terminal("setup") as terminal:
        assert 0 == answer(terminal, (KEEP, ENTER), (SIGN_IN, "n\r"), (CODEX, ENTER), (LOGIN, "n\r")), terminal.screen
        assert "Sign in later: amberlight reauthorize notes" in terminal.screen
    assert "url" in fresh.codex_entry("notes")
    assert "headers" not in fresh.claude_entry("notes")
    with fresh.terminal("setup") as terminal:
        steps = ((SIGN_IN, ENTER), ("Ctrl-C skips it", "\x03"), (LOGIN, "\x03"))
        assert 130 == answer(terminal, *steps), terminal.screen
        assert "Keep" not in terminal.screen
        assert "Stopped. The steps so far are done. To continue: amberlight setup" in terminal.screen
    assert 0 == server.count("authorize")


def test_keys_pressed_before_a_question_do_not_answer_it(fresh: FreshHome) -> None:
    """Enter, pressed impatiently while the app starts, opens no browser."""

    with fresh.terminal("setup") as terminal:
        terminal.follow(KEEP)
        terminal.type("\r\r\r\ry")
        terminal.follow(SIGN_IN)
        with pytest.raises(AssertionError, match="did not come"):
            terminal.follow("Waiting|Clients", 1.0)
    assert not fresh.visits_file.exists()


def test_a_refused_sign_in_leaves_the_rest(fresh: FreshHome, server: OAuthServer) -> None:
    """The reason is said, the next steps are offered, and the exit code tells."""

    server.consent = "deny"
    with fresh.terminal("setup") as terminal:
        assert 1 == answer(terminal, *WITHOUT_LOGIN), terminal.screen
        assert "You declined, or the server denied access." in terminal.screen
        assert "0 of 1 workload signed in." in terminal.screen
    assert "headers" not in fresh.claude_entry("notes"), "its own way there stays"
    assert "http_headers" in fresh.codex_entry("notes")


def test_a_server_that_is_down(fresh: FreshHome, workload: EchoWorkload) -> None:
    """One sentence; Codex is still connected."""

    workload.down()
    with fresh.terminal("setup") as terminal:
        assert 1 == answer(terminal, *WITHOUT_LOGIN), terminal.screen
        assert "connection refused" in terminal.screen
        assert "Traceback" not in terminal.screen


async def test_a_port_that_another_program_has(fresh: FreshHome) -> None:
    """The clients get a command in place of an address, and the tool call works."""

    with socket.create_server(("127.0.0.1", 0)) as taken:
        fresh.paths.config_file.write_text(f"[settings]\nport = {taken.getsockname()[1]}\n")
        with fresh.terminal("setup") as terminal:
            assert 0 == answer(terminal, *ALL), terminal.screen
            assert "these clients will run `amberlight stdio`" in terminal.screen
        assert "hello" == await call(fresh.claude_entry("notes"), "headers", fresh.env)
        assert "hello" == await call(fresh.codex_entry("notes"), "http_headers", fresh.env)


def test_a_server_without_a_sign_in(fresh: FreshHome) -> None:
    """It is not kept, and Claude Code goes on using it directly."""

    with public_server() as url:
        fresh.give_claude({"open": url})
        with fresh.terminal("setup") as terminal:
            steps = ((r"Keep open signed in\? ", ENTER), (r"Sign in to open in", ENTER), (LOGIN, "n\r"))
            assert 0 == answer(terminal, *steps), terminal.screen
            assert "open doesn't need a sign-in" in terminal.screen
            assert "Clients" not in terminal.screen
        assert {"type": "http", "url": url} == fresh.claude_entry("open")
    assert "open" not in fresh.paths.config_file.read_text()


def test_over_ssh_the_address_is_pasted(fresh: FreshHome) -> None:
    """The browser is on another machine: its last address is typed here, and the questions go on."""

    fresh.env["SSH_CONNECTION"] = "192.0.2.1 1 192.0.2.2 22"
    with fresh.terminal("setup") as terminal:
        terminal.follow(KEEP)
        terminal.type(ENTER)
        terminal.follow(r"Sign in to notes\? \[Y/n\] ")
        terminal.type(ENTER)
        page = terminal.follow(r"\s(http://\S+/authorize\?\S+)\s")[1]
        terminal.follow("press Enter:")
        terminal.line("what now?")
        terminal.follow("Paste the whole address")
        browse(page)
        assert 0 == answer(terminal, (CONNECT, ENTER), (LOGIN, "n\r")), terminal.screen
    assert not fresh.visits_file.exists()


def test_two_at_once_and_a_closed_terminal(fresh: FreshHome) -> None:
    """The second says so and ends; the first ends with its terminal, and what it holds with it."""

    with fresh.terminal("setup") as first:
        first.follow(KEEP)
        with fresh.terminal("setup") as second:
            assert 1 == answer(second)
            assert "setup is already running" in second.screen
        first.hang_up()
        first.gone(5.0)
    with fresh.terminal("setup") as third:
        assert 130 == answer(third, (KEEP, "\x04")), third.screen  # Ctrl-D
    assert not fresh.paths.lock_file.exists(), "nothing was agreed to, so nothing was started"


def test_thirty_servers_in_a_narrow_terminal(fresh: FreshHome, workload: EchoWorkload) -> None:
    """Some are chosen by number, the sign-ins can be skipped at once, and no line is wrapped."""

    fresh.give_claude({f"server-{n}": workload.url.replace("/mcp", f"/{n}/mcp") for n in range(1, 31)})
    with fresh.terminal("setup") as terminal:
        terminal.narrow(40)
        steps = (
            (r"Which do you want to keep signed in\?.*n: none\] ", "31\r"),
            (r"Enter numbers from 1 to 30.*\n", ""),
            (r"Which do you want to keep signed in\?.*n: none\] ", "2-3, 30\r"),
            (r"Sign in to server-2 .*s: skip the rest\] ", "s\r"),
            (CODEX, "n\r"),
            (LOGIN, "n\r"),
        )
        assert 0 == answer(terminal, *steps), terminal.screen
        assert "Added server-2, server-3 and server-30." in terminal.screen
        rows = [line for line in terminal.screen.splitlines() if re.match(r"  +\d+  ", line)]
        assert 31 == len(rows)
        assert 40 >= max(map(len, rows))


def test_without_a_keyring(tmp_path: Path, workload: EchoWorkload) -> None:
    """It works until the next restart, and the summary says so."""

    with Desk(keyring_password=None, panel=False, notifications=False) as desk, FreshHome(desk, tmp_path) as fresh:
        fresh.configure_port()
        fresh.give_claude({"notes": workload.url})
        with fresh.terminal("setup") as terminal:
            connect = r"Connect Claude Code\? \[Y/n\] "
            steps = ((KEEP, ENTER), (SIGN_IN, ENTER), (connect, ENTER), (LOGIN, "n\r"))
            assert 0 == answer(terminal, *steps), terminal.screen
            assert "lost when Amberlight quits" in terminal.screen


def test_an_app_that_cannot_start(fresh: FreshHome) -> None:
    """Its own sentence is shown."""

    (fresh.root / "file").write_text("")
    fresh.env["XDG_DATA_HOME"] = str(fresh.root / "file/data")
    with fresh.terminal("setup") as terminal:
        assert 1 == answer(terminal, (KEEP, ENTER)), terminal.screen
        assert "couldn't start" in terminal.screen
        assert "background.log" in terminal.screen
        assert str(fresh.root / "file/data/amberlight") in terminal.screen, "what the app itself said"
