"""`amberlight setup` beside the real Claude Code and Codex: both show the server as theirs, and call its tool.

AMBERLIGHT_CLIENTS=1 packaging/dev.sh test tests/real/clients
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.desktop.desk import Desk
from tests.desktop.fresh_home import PROGRAM, FreshHome
from tests.real import node
from tests.real.clients import install
from tests.real.clients.agents import KEY, SYSTEM
from tests.real.clients.model import Model
from tests.real.clients.process import environment
from trayapp.oauthtest import EchoWorkload, OAuthServer

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not install.wanted(), reason="installs 2.2 GB of clients: set AMBERLIGHT_CLIENTS=1 to run it"),
]
ENTER = "\r"
TRIES = 3  # on a busy machine Claude Code may begin without its servers
LIMIT = 90  # s for one command
CALL = 'CALL echo {"message": "hello from setup"}'
CODEX = """model = "scripted"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[model_providers.scripted]
name = "scripted"
base_url = "{model}/v1"
wire_api = "responses"
env_key = "SCRIPTED_KEY"
requires_openai_auth = false
supports_websockets = false
"""


class Clients:
    """Both programs, in the home of the person who runs `setup`."""

    def __init__(self, fresh: FreshHome, model: Model, packages: Path) -> None:
        self.fresh = fresh
        (fresh.home / "tmp").mkdir()
        self._claude = packages / f"node_modules/@anthropic-ai/claude-code-{SYSTEM}/claude"
        self._codex = packages / "node_modules/@openai/codex/bin/codex.js"
        self._env = {
            **environment(fresh.home),
            "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_AUTOUPDATER": "1",
            "ENABLE_TOOL_SEARCH": "false",
            "MCP_CONNECTION_NONBLOCKING": "false",  # it waits for its servers, though only for some seconds
            "SCRIPTED_KEY": KEY,
        }

    def claude(self, *words: str) -> str:
        return self._run(self._env, str(self._claude), *words)

    def codex(self, *words: str) -> str:
        return self._run(self._env, str(node.node()), str(self._codex), *words)

    def _run(self, env: Mapping[str, str], *command: str) -> str:
        done = subprocess.run(
            command,
            env=env,
            cwd=self.fresh.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, f"{command[1:]} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def workload() -> Iterator[EchoWorkload]:
    with OAuthServer(registration=True) as server, EchoWorkload(server) as workload:
        yield workload


@pytest.fixture
def clients(desk: Desk, workload: EchoWorkload) -> Iterator[Clients]:
    if not PROGRAM.exists():
        pytest.skip(f"Amberlight is not installed here ({PROGRAM})")
    try:
        packages = install.packages()
    except node.NodeMissing as error:
        pytest.fail(str(error), pytrace=False)
    root = Path(tempfile.mkdtemp(prefix="clients-", dir="/var/tmp"))  # Codex wants no home in /tmp
    try:
        with Model() as model, FreshHome(desk, root) as fresh:
            fresh.configure_port()
            fresh.codex_file.parent.mkdir()
            fresh.codex_file.write_text(CODEX.format(model=model.url))
            yield Clients(fresh, model, packages)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_setup_connects_claude_code_and_codex(clients: Clients, workload: EchoWorkload) -> None:
    """`claude mcp add` has made the file; after `setup` both clients list the server and call its tool; `disconnect` puts
    Codex's file back."""

    fresh = clients.fresh
    clients.claude("mcp", "add", "--scope", "user", "--transport", "http", "notes", workload.url)
    assert "Needs authentication" in clients.claude("mcp", "list")
    before = fresh.codex_file.read_bytes()
    with fresh.terminal("setup") as terminal:
        for question in (r"Keep notes", r"Sign in to notes", r"Which do you want to connect", r"Start Amberlight when"):
            terminal.follow(question + r".*\] ")
            terminal.type(ENTER)
        assert 0 == terminal.wait(), terminal.screen

    listed = clients.claude("mcp", "list")
    assert re.search(r"notes: http://127\.0\.0\.1:\d+/w/notes \(HTTP\) - .* Connected", listed), listed
    (entry,) = json.loads(clients.codex("mcp", "list", "--json"))
    assert ("notes", True) == (entry["name"], entry["enabled"])

    prompt = ("-p", CALL, "--model", "claude-sonnet-4-5", "--allowedTools", "mcp__notes__echo")
    said = clients.claude(*prompt)
    for _ in range(TRIES):
        if "NO TOOL" in said:
            said = clients.claude(*prompt)
    assert "RESULT hello from setup" in said
    said = clients.codex("exec", "--skip-git-repo-check", CALL)
    assert "hello from setup" in said
    calls = [each for each in workload.calls if each.rpc_method == "tools/call"]
    assert ["ok", "ok"] == [each.outcome for each in calls]

    key = fresh.claude_entry("notes")["headers"]["Authorization"].removeprefix("Bearer ").encode()
    assert not [line for line in fresh.command_lines if key in line]
    assert not [file for file in fresh.open_files() if key in file.read_bytes()]

    with fresh.terminal("disconnect", "codex") as terminal:
        assert 0 == terminal.wait(), terminal.screen
    assert before == fresh.codex_file.read_bytes()
