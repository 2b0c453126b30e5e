"""`amberlight exec` as a process of its own, and `client-config` when the app's answer is odd."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.cli.fake_app import FakeApp, running
from trayapp.cli import exec_command, main
from trayapp.config.paths import Paths
from trayapp.core.model import Secret

TOKEN = "canary-access-token"
TIMEOUT = 60 if sys.platform != "win32" else 240  # s; a process begins slowly there, and slowest in Wine
PRINT = "import os; print(os.environ[{!r}])"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def app(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApp]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with running(paths.runtime_dir) as fake:
        for validity in (60, 300):
            answer = {"access_token": TOKEN, "token_type": "Bearer", "expires_at": "2999-01-01T00:00:00Z"}
            fake.replies[f"GET /workloads/github/token?min_validity={validity}&wait=30"] = 200, answer
        yield fake


def amberlight(*words: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trayapp", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False, **kwargs)


def test_the_token_is_in_the_environment(app: FakeApp) -> None:
    """Under the usual name or the given one, with the life that was asked for, and beside what was there before."""

    usual = amberlight("exec", "github", "--", sys.executable, "-c", PRINT.format("AMBERLIGHT_TOKEN"))
    assert (0, TOKEN + "\n", "") == (usual.returncode, usual.stdout, usual.stderr)

    show = "import os; print(os.environ['GH'], os.environ['OTHER'], 'AMBERLIGHT_TOKEN' in os.environ)"
    words = ("exec", "github", "--env", "GH", "--min-validity", "5m", "--", sys.executable, "-c", show)
    assert f"{TOKEN} mine False\n" == amberlight(*words, env={**os.environ, "OTHER": "mine"}).stdout


def test_the_command_is_given_as_it_is(app: FakeApp) -> None:
    """Its options are not ours, whatever they look like, a second -- included; nothing goes through a shell."""

    show = "import sys; print(sys.argv[1:])"
    words = ["--help", "--env", "X", "--", "a b", "$HOME", ""]

    assert f"{words}\n" == amberlight("exec", "github", "--", sys.executable, "-c", show, *words).stdout


def test_its_exit_code_is_ours(app: FakeApp) -> None:
    """Also where ours have another meaning."""

    for code in (0, 3, 4, 77):
        assert code == amberlight("exec", "github", "--", sys.executable, "-c", f"raise SystemExit({code})").returncode


@pytest.mark.skipif(os.name != "posix", reason="only there a process can become another")
def test_it_becomes_the_command(app: FakeApp) -> None:
    """Same process, so signals and terminal are the command's own; the token is on no command line; SIGPIPE is as usual."""

    show = "tr '\\0' ' ' < /proc/$$/cmdline; echo; echo $$; grep SigIgn /proc/$$/status; exec sleep 60"
    command = [sys.executable, "-m", "trayapp", "exec", "github", "--", "sh", "-c", show]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line, pid, ignored = (process.stdout.readline() for _ in range(3))
        process.send_signal(signal.SIGTERM)
        assert -signal.SIGTERM == process.wait(10)
    assert line.startswith("sh -c")
    assert TOKEN not in line
    assert process.pid == int(pid)
    assert 0 == int(ignored.split()[1], 16) & (1 << (signal.SIGPIPE - 1))


def test_a_command_that_is_not_there(app: FakeApp, tmp_path: Path) -> None:
    """127 and 126, as shells say it, with a sentence that names it and no token."""

    (tmp_path / "text").write_text("no program")
    missing = amberlight("exec", "github", "--", "no-such-command-here")
    text = amberlight("exec", "github", "--", str(tmp_path / "text"))

    assert (127, "amberlight: there's no command no-such-command-here\n") == (missing.returncode, missing.stderr)
    assert 126 == text.returncode
    assert "can't be run: " in text.stderr
    assert sys.platform == "win32" or "can't be run: Permission denied" in text.stderr
    assert TOKEN not in missing.stderr + text.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["exec", "github"],
        ["exec", "github", "--"],
        ["exec", "github", "ls"],
        ["exec", "github", "ls", "--", "x"],
        ["exec", "--", "ls"],
        ["exec", "github", "--env", "A=B", "--", "ls"],
        ["exec", "github", "--env", "", "--", "ls"],
        ["exec", "github", "--min-validity", "-1", "--", "ls"],
    ],
)
def test_wrong_usage(app: FakeApp, words: list[str], capsys: Capture) -> None:
    """A sentence, exit code 2, and the app is not even asked."""

    assert 2 == main(words)
    assert capsys.readouterr().err.startswith("amberlight: ")
    assert [] == app.requests


def test_without_an_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """3, and the command is not begun."""

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert [3, 3] == [main(["exec", "github", "--", "false"]), main(["client-config", "github"])]


def test_an_expired_token_runs_nothing(app: FakeApp, capsys: Capture) -> None:
    """What is over is not handed on."""

    answer = {"access_token": TOKEN, "token_type": "Bearer", "expires_at": "2001-01-01T00:00:00Z"}
    app.replies["GET /workloads/github/token?min_validity=60&wait=30"] = 200, answer

    assert 5 == main(["exec", "github", "--", "no-such-command-here"])
    assert "just expired" in capsys.readouterr().err


def test_where_a_process_cannot_become_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the command is a child, and its exit code is handed on."""

    monkeypatch.setattr("trayapp.cli.exec_command.os.name", "nt")
    show = f"import os, sys; sys.exit(7 if os.environ['T'] == {TOKEN!r} else 1)"

    assert 7 == exec_command.replace_process([sys.executable, "-c", show], "T", Secret(TOKEN))


@pytest.mark.parametrize(("code", "ours"), [(0, 0), (77, 77), (0x7FFFFFFF, 0x7FFFFFFF), (0xC0000005, -0x3FFFFFFB)])
def test_the_code_of_a_crash_on_windows(code: int, ours: int) -> None:
    """The same 32 bits: Python would end with -1 for a larger number than it can pass on."""

    assert ours == exec_command.exit_code(code)
    assert code == ours & 0xFFFFFFFF


def test_a_batch_file_gets_no_argument_that_it_would_run(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """The command processor reads quotes, %, & and more in its own way, however they were quoted."""

    monkeypatch.setattr("trayapp.cli.exec_command.os.name", "nt")
    monkeypatch.setattr("trayapp.system.processes.shutil.which", lambda name: f"C:\\node\\{name}.CMD")
    for word in ("a&calc", '"', "%PATH%", "a|b", "^", "line\nbreak"):
        assert 126 == exec_command.replace_process(["npx", "server", word], "T", Secret(TOKEN))
        assert (
            "npx can't be run: it's a batch file, which can't be given these arguments safely"
            in capsys.readouterr().err
        )


# --- client-config ---------------------------------------------------------------------------------------------------

SETTINGS = {program: f'{{"for": "{program}"}}' for program in ("claude-code", "cursor", "vscode", "json")}
ANSWER = {"name": "github", "url": "u", "headers": {"Authorization": "Bearer k"}, "lasting": True, "settings": SETTINGS}


def test_the_text_of_the_program_is_printed(app: FakeApp, capsys: Capture) -> None:
    """For Claude if nobody says otherwise; one warning, as the port stays."""

    app.replies["GET /workloads/github/client"] = 200, ANSWER
    for words, program in [([], "claude-code"), *((["--for", each], each) for each in SETTINGS)]:
        assert 0 == main(["client-config", "github", *words])
        out, err = capsys.readouterr()
        assert {"for": program} == json.loads(out)
        assert err.startswith("amberlight: this contains the local key of github")
        assert 1 == err.count("amberlight:")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:41233/w/github", "set port = 41233 under [settings] in config.toml."),
        ("http://127.0.0.1:x/w/github", "Run `amberlight doctor`."),
    ],
)
def test_an_address_for_this_run_only(app: FakeApp, capsys: Capture, url: str, words: str) -> None:
    """The port to set is the one in use now."""

    app.replies["GET /workloads/github/client"] = 200, ANSWER | {"headers": {}, "lasting": False, "url": url}
    app.replies["GET /workloads/github/client"][1]["settings"] = {"claude-code": f'{{"url": "{url}"}}'}  # type: ignore[index]

    assert 0 == main(["client-config", "github"])
    err = capsys.readouterr().err
    assert err.startswith("amberlight: Amberlight's port changes the next time it starts.")
    assert err.endswith(f"{words}\n")


def test_without_a_key_there_is_nothing_to_warn_of(app: FakeApp, capsys: Capture) -> None:
    """`require_key = false`."""

    app.replies["GET /workloads/github/client"] = 200, ANSWER | {"headers": {}}

    assert 0 == main(["client-config", "github"])
    assert "" == capsys.readouterr().err


@pytest.mark.parametrize("settings", [None, {}, [], {"claude-code": 1}])
def test_an_odd_answer(app: FakeApp, capsys: Capture, settings: object) -> None:
    """A sentence instead of half a text."""

    app.replies["GET /workloads/github/client"] = 200, ANSWER | {"settings": settings}

    assert 1 == main(["client-config", "github"])
    out, err = capsys.readouterr()
    assert "" == out
    assert "no settings for claude-code" in err


def test_a_proxy_that_is_off(app: FakeApp, capsys: Capture) -> None:
    """The app's own sentence."""

    app.replies["GET /workloads/github/client"] = 503, {"error": "no_proxy", "message": "The proxy is off."}

    assert 1 == main(["client-config", "github"])
    assert "The proxy is off." in capsys.readouterr().err
