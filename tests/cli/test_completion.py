"""Completion in shells: the scripts, what they ask, and that a shell really completes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.access import make_private
from trayapp.cli import main
from trayapp.cli.grammar import SHELLS, parser
from trayapp.config.loader import Paths

Capture = pytest.CaptureFixture[str]
CONFIG = '[workloads.notion]\nurl = "https://a.example"\n[workloads.notes]\nurl = "https://b.example"\n'


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script(capsys: Capture, shell: str) -> None:
    assert 0 == main(["completion", shell])
    out = capsys.readouterr().out
    assert "amberlight" in out
    assert "_ARGCOMPLETE" in out


def test_an_unknown_shell(capsys: Capture) -> None:
    assert 2 == main(["completion", "tcsh"])
    assert "bash" in capsys.readouterr().err


def completed(line: str, shell: str, answer: Path) -> list[str]:
    """What the program offers for the end of this line: to bash through descriptor 8, to PowerShell in a file."""
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_SHELL": shell,
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    command = ["sh", "-c", f'exec "{sys.executable}" -m trayapp 8>&1 9>/dev/null 1>/dev/null 2>&1']
    if shell == "powershell":
        command = [sys.executable, "-m", "trayapp"]
        asked["_ARGCOMPLETE_STDOUT_FILENAME"] = str(answer)
    done = subprocess.run(
        command, env={**os.environ, **asked}, capture_output=True, text=True, check=False, timeout=240
    )
    return (answer.read_text() if shell == "powershell" else done.stdout).split("\n")


shells = pytest.mark.parametrize(
    "shell", [pytest.param("bash", marks=pytest.mark.linux("a POSIX shell")), "powershell"]
)


@shells
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("amberlight sta", ["start", "status"]),
        ("amberlight status not", ["notes", "notion"]),
        ("amberlight wait notes --for co", ["configuration-error", "connected"]),
        ("amberlight list --w", ["--watch"]),
        ("amberlight completion f", ["fish"]),
        ("amberlight connect claude-c", ["claude-code"]),
        ("amberlight import tool", ["toolhive"]),
    ],
)
def test_what_is_offered(paths: Paths, tmp_path: Path, shell: str, line: str, found: list[str]) -> None:
    """Commands, workloads of the configuration, options, choices and clients."""

    paths.config_file.parent.mkdir(parents=True)
    paths.config_file.write_text(CONFIG)
    make_private(paths.config_file)

    assert found == sorted(word.strip() for word in completed(line, shell, tmp_path / "answer"))[-len(found) :]


@shells
def test_a_damaged_configuration_offers_no_names(paths: Paths, tmp_path: Path, shell: str) -> None:
    """And says nothing into the line that is being typed."""

    paths.config_file.parent.mkdir(parents=True)
    paths.config_file.write_text("[oops")

    assert [""] == completed("amberlight status not", shell, tmp_path / "answer")
    assert not paths.lock_file.exists(), "it didn't start the app"


@pytest.mark.skipif(os.name != "posix" or not shutil.which("bash"), reason="there is no bash here")
def test_bash_completes(paths: Paths, tmp_path: Path) -> None:
    """With the script as it is printed."""

    program = tmp_path / "amberlight"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trayapp "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(amberlight completion bash)"
        COMP_LINE="amberlight unin"; COMP_POINT=${#COMP_LINE}; COMP_WORDS=(amberlight unin); COMP_CWORD=1; COMP_TYPE=9
        _python_argcomplete amberlight unin amberlight
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "uninstall" == done.stdout.strip(), done.stderr


def test_every_parser_is_reached() -> None:
    """Those below `import`, too."""

    assert {"amberlight", "amberlight exec", "amberlight import toolhive"} <= {
        each.prog for each in parser().every_parser()
    }
