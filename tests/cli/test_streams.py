"""Standard output that is full, closed or read by nobody: one line, exit code 1, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.cli.fake_app import FakeApp, row
from trayapp.config.loader import Paths

pytestmark = pytest.mark.linux("/dev/full, and shells that close streams")

COMMANDS = (
    ["--help"],
    ["--version"],
    ["help", "exec"],
    ["version"],
    ["list"],
    ["list", "--format", "json"],
    ["status", "github"],
    ["doctor"],
)


def run_in_shell(words: Sequence[str], redirection: str) -> subprocess.CompletedProcess[str]:
    command = f'exec "$0" -m trayapp "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, *words], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def app(app: FakeApp) -> FakeApp:
    app.replies |= {"GET /workloads?all=true": (200, {"workloads": [row()] * 500}), "GET /status": (200, {})}
    app.replies["GET /workloads/github/status"] = 200, row()
    return app


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(("redirection", "why"), [(">/dev/full", "No space left on device."), (">&-", "it is closed.")])
def test_output_that_is_lost_is_one_line(app: FakeApp, words: list[str], redirection: str, why: str) -> None:
    """A script sees that it failed, and a person why; Python adds nothing."""

    done = run_in_shell(words, redirection)

    assert (1, "") == (done.returncode, done.stdout)
    assert f"amberlight: the output can't be written: {why}\n" == done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["add", "new", "https://new.example/mcp"],
        ["setup"],
        ["connect", "cursor"],
        ["uninstall"],
        ["import", "toolhive"],
        ["take-over", "--undo", "github"],
        ["secret", "set", "github"],
        ["edit"],
        ["reauthorize", "github"],
    ],
    ids=" ".join,
)
def test_a_closed_input_is_no_mistake_of_ours(app: FakeApp, words: list[str]) -> None:
    """Nobody can be asked, which each command says in its own way."""

    done = run_in_shell(words, "<&-")

    assert "unexpected error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_left_is_one_line(app: FakeApp) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$0" -m trayapp list | true; exit "${PIPESTATUS[0]}"', sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode in (0, 1)  # 0: it wrote before `true` ended
    assert done.stderr in ("", "amberlight: the output can't be written: it was closed.\n")


def test_nobody_hears_the_error_either(app: FakeApp) -> None:
    """The exit code still says it."""

    for redirection in (">/dev/full 2>/dev/full", ">&- 2>&-", "2>&-", "2>/dev/full"):
        done = run_in_shell(["list"], redirection)
        assert ("2" not in redirection.split(" ")[0]) is bool(done.returncode), redirection
        assert "" == done.stderr


def test_an_error_without_standard_error(paths: Paths) -> None:
    assert (3, "") == ((done := run_in_shell(["list"], "2>&-")).returncode, done.stdout + done.stderr)
    assert (2, "") == ((done := run_in_shell(["frob"], "2>/dev/full")).returncode, done.stdout + done.stderr)
