"""Standard output that nobody reads any more, on every system; `test_streams.py` closes it with a shell."""

from __future__ import annotations

import ast
import errno
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.fake_app import FakeApp, row
from trayapp import cli
from trayapp.cli import main
from trayapp.cli.codes import OutputError
from trayapp.cli.output import flush_output, print_line, print_question
from trayapp.config.paths import Paths

CLOSED = "amberlight: the output can't be written: it was closed.\n"
GONE: dict[str, OSError] = {
    "linux": BrokenPipeError(errno.EPIPE, "Broken pipe"),
    "win32": OSError(errno.EINVAL, "Invalid argument"),  # ERROR_NO_DATA; or as on Linux, depending on the moment
}


class Gone(io.StringIO):
    """A pipe without a reader. What is written is noticed with the line, or when the buffer is written."""

    def __init__(self, *, at_flush: bool) -> None:
        super().__init__()
        self._at_flush = at_flush

    def write(self, text: str) -> int:
        if not self._at_flush:
            raise GONE[sys.platform]
        return len(text)

    def flush(self) -> None:
        raise GONE[sys.platform]


@pytest.fixture(params=["linux", "win32"])
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "platform", request.param)
    return str(request.param)


@pytest.mark.parametrize("at_flush", [False, True])
@pytest.mark.parametrize("write", [lambda: print_line("x", flush=True), lambda: print_question("x")])
def test_it_was_closed(
    platform: str, write: Callable[[], None], at_flush: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the system calls it."""

    monkeypatch.setattr(sys, "stdout", Gone(at_flush=at_flush))
    with pytest.raises(OutputError, match=r"^it was closed\.$"):
        write()
    if at_flush:
        with pytest.raises(OutputError, match=r"^it was closed\.$"):
            flush_output()


def test_an_invalid_argument_is_one_elsewhere() -> None:
    if sys.platform == "win32":
        pytest.skip("there it is how Python calls a pipe without a reader")
    assert "Invalid argument." == str(OutputError(OSError(errno.EINVAL, "Invalid argument")))
    assert "No space left on device." == str(OutputError(OSError(errno.ENOSPC, "No space left on device")))


@pytest.mark.parametrize("at_flush", [False, True])
@pytest.mark.parametrize(
    "words", [["list"], ["version"], ["list", "--watch"], ["remove", "github"], ["connect", "cursor"], ["uninstall"]]
)
def test_every_way_to_print(
    paths: Paths,
    app: FakeApp,
    words: list[str],
    at_flush: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tables, questions and what is repeated: one sentence, the exit code of a failure, and nothing done."""

    app.replies |= {"GET /workloads?all=true": (200, {"workloads": [row()]}), "GET /status": (200, {})}
    app.replies["GET /workloads/github/status"] = 200, row()
    (paths.config_file.parent.parent / "home" / ".cursor").mkdir(parents=True)
    answers = io.StringIO("y\ny\ny\n")
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", answers)
    monkeypatch.setattr(sys, "stdout", Gone(at_flush=at_flush))

    assert 1 == main(words)
    assert CLOSED == capsys.readouterr().err
    assert not [what for what, _ in app.requests if not what.startswith("GET")]


def test_exec_needs_no_output_of_ours(paths: Paths, app: FakeApp) -> None:
    """The command may have none either: its exit code is what counts."""

    answer = {"access_token": "canary", "token_type": "Bearer", "expires_at": "2999-01-01T00:00:00Z"}
    app.replies["GET /workloads/github/token?min_validity=60&wait=30"] = 200, answer
    code = (
        "import sys; from trayapp.cli import main; sys.stdout = sys.stderr = None;"
        "sys.exit(main(['exec', 'github', '--', sys.executable, '-c', 'raise SystemExit(7)']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=240)
    assert (7, b"", b"") == (done.returncode, done.stdout, done.stderr)


def test_only_the_output_module_prints() -> None:
    """Or else what another place raises is taken for the file of a person."""

    found = []
    for file in sorted(Path(cli.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="stdout"), attr="write" | "flush")):
                    found.append(file.name)
                case ast.Call(func=ast.Name(id="print")):
                    found.append(file.name)
    assert {"entry.py", "output.py"} == set(found)
