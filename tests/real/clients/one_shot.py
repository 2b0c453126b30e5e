"""Claude Code and Codex as a person's scripts use them: on the PATH of a home, one command with one prompt each.

They are in `~/.local/bin`, with Node beside them; what says where the model is goes into the environment and the command
line, so that the home stays as a person has it who has just installed both.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.desktop.desk import Desk
from tests.desktop.fresh_home import FreshHome
from tests.real import node
from tests.real.clients import install
from tests.real.clients.agents import KEY, SYSTEM
from tests.real.clients.model import Model
from tests.real.clients.process import environment

PACKAGES = ("@anthropic-ai/claude-code", "@openai/codex")
LIMIT = 180  # s for one command; a busy machine takes 20 for Claude Code
TRIES = 4  # on a busy machine Claude Code may begin without its servers
SCRIPTED = (
    'model="scripted"',
    'model_provider="scripted"',
    'model_providers.scripted={{name="scripted", base_url="{url}/v1", wire_api="responses", env_key="SCRIPTED_KEY", '
    "requires_openai_auth=false, supports_websockets=false}}",
)


@contextmanager
def home(desk: Desk) -> Iterator[FreshHome]:
    """A home for both, with a port of its own for the app. Not below /tmp, where Codex wants none."""
    root = Path(tempfile.mkdtemp(prefix="clients-", dir="/var/tmp"))
    try:
        with FreshHome(desk, root) as fresh:
            fresh.configure_port()
            yield fresh
    finally:
        shutil.rmtree(root, ignore_errors=True)


class OneShot:
    """Both programs in this home. The work is done in `~/work`, a Git repository: elsewhere `codex exec` refuses to."""

    def __init__(self, fresh: FreshHome, model: Model) -> None:
        try:
            packages = install.packages(*PACKAGES) / "node_modules"
        except node.NodeMissing as error:
            pytest.fail(str(error), pytrace=False)
        programs = fresh.home / ".local/bin"
        programs.mkdir(parents=True)
        (programs / "claude").symlink_to(packages / f"@anthropic-ai/claude-code-{SYSTEM}/claude")
        (programs / "codex").symlink_to(packages / "@openai/codex/bin/codex.js")
        (programs / "node").symlink_to(node.node())
        fresh.env["PATH"] = f"{programs}:{fresh.env['PATH']}"
        self._model = model
        self._work = fresh.home / "work"
        (fresh.home / "tmp").mkdir()
        subprocess.run(["git", "init", "--quiet", self._work], env=environment(fresh.home), check=True, timeout=LIMIT)
        self._codex_options = [word for each in SCRIPTED for word in ("-c", each.format(url=model.url))]
        self._env = {
            **environment(fresh.home),
            "PATH": fresh.env["PATH"],
            "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_AUTOUPDATER": "1",
            "ENABLE_TOOL_SEARCH": "false",  # the scripted model doesn't search: it is offered every tool
            "MCP_CONNECTION_NONBLOCKING": "false",  # it waits for its servers, though only for some seconds
            "SCRIPTED_KEY": KEY,
        }

    def claude(self, *words: str) -> str:
        """What the command prints. A code other than 0 fails the test."""
        return self._run("claude", *words)

    def codex(self, *words: str) -> str:
        """The same of Codex."""
        return self._run("codex", *words)

    def claude_prompt(self, prompt: str, *allowed: str) -> str:
        """`claude -p`, which may call the allowed tools; they have to be there."""
        words = ("-p", "--model", "claude-sonnet-4-5", "--allowedTools", ",".join(allowed), "--", prompt)
        for _ in range(TRIES):
            said = self.claude(*words)
            if {*allowed} <= {*self._model.requests[-1].offered}:
                return said
        raise AssertionError(f"not offered: {allowed} {self._model.requests[-1].offered}")

    def codex_prompt(self, prompt: str, *options: str) -> str:
        """`codex exec` with these settings."""
        own = [word for each in options for word in ("-c", each)]
        return self.codex("exec", *self._codex_options, *own, prompt)

    def versions(self) -> list[str]:
        """The numbers of both programs."""
        found = [re.search(r"\d+\.\d+\.\d+", said) for said in (self.claude("--version"), self.codex("--version"))]
        return [each[0] for each in found if each is not None]

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            env=self._env,
            cwd=self._work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout
