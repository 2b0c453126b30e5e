"""Wrong usage: what is wrong, what may be meant, and that command's own help."""

from __future__ import annotations

import pytest

from tests.cli.fake_app import FakeApp
from trayapp.cli import main
from trayapp.cli.arguments import limit, moment, one_of
from trayapp.config.loader import Paths
from trayapp.system.shown_command import quoted

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("line", "said", "help_of"),
    [
        ("lst", "there's no command lst. Did you mean list?", ""),
        ("frobnicate", "there's no command frobnicate", ""),
        ("help lst", "there's no command lst. Did you mean list?", ""),
        ("--frob", "unknown option --frob", ""),
        ("list --watsh", "unknown option --watsh. Did you mean --watch?", "list"),
        ("list --watsh=1", "unknown option --watsh=1. Did you mean --watch?", "list"),
        ("status notes --frob", "unknown option --frob", "status"),
        ("status notes more", "unexpected argument: more", "status"),
        ("stop notes -x", "unknown option -x", "stop"),
        ("import toolhive --frob", "unknown option --frob", "import toolhive"),
        ("import", "add what to import: --from CLIENT, toolhive, or mcp-json FILE", "import"),
        ("exec notes --env X --frob -- ls", "unknown option --frob", "exec"),
        ("exec notes", "add the command to run: amberlight exec notes -- COMMAND", "exec"),
        ("exec notes --", "add the command to run: amberlight exec notes -- COMMAND", "exec"),
        ("exec notes ls", "put -- before the command to run: amberlight exec notes -- ls", "exec"),
        ("exec notes gh repo list", "put -- before the command to run: amberlight exec notes -- gh repo list", "exec"),
        (
            "exec notes sh -c 'echo $X'",
            f"put -- before the command to run: amberlight exec notes -- sh -c {quoted('echo $X')}",
            "exec",
        ),
        ("run --background --no-page", "--background and --no-page exclude each other", "run"),
        ("change-port 0", "argument PORT: must be a port number from 1 to 65535", "change-port"),
        ("wait notes --for happy", "argument --for: must be one of: connected, reconnecting", "wait"),
    ],
)
def test_the_message_names_the_right_help(paths: Paths, capsys: Capture, line: str, said: str, help_of: str) -> None:
    """In two lines on standard error, with exit code 2, and nothing is done."""

    import shlex

    assert 2 == main(shlex.split(line))
    captured = capsys.readouterr()
    first, second = captured.err.splitlines()
    assert first.startswith(f"amberlight: {said}")
    assert f"See `amberlight {help_of + ' ' if help_of else ''}--help`." == second
    assert "" == captured.out


@pytest.mark.parametrize("words", [["help"], ["--help"], ["-h"]])
def test_help_of_all(capsys: Capture, words: list[str]) -> None:
    assert 0 == main(words)
    assert capsys.readouterr().out.startswith("usage: amberlight ")


@pytest.mark.parametrize("words", [["help", "import", "toolhive"], ["import", "toolhive", "--help"], ["help", "help"]])
def test_help_of_one(capsys: Capture, words: list[str]) -> None:
    """Of those below `import`, too."""

    assert 0 == main(words)
    assert f"usage: amberlight {'help' if words[0] == words[1] else 'import toolhive'} " in capsys.readouterr().out


def test_the_short_way_to_stdio_needs_no_parser(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """What looks odd is left to the parser, which says what is wrong with it."""

    assert 2 == main(["stdio", "Notes"])
    assert "See `amberlight stdio --help`." in capsys.readouterr().err


def test_spans_and_moments() -> None:
    """Days are understood, too; a time without a zone is local, a span counts back from now."""

    assert [90.0, 300.0, 2 * 86400.0, 86400.0 + 3600.0] == [limit(text) for text in ("90", "5m", "2d", "1d1h")]
    assert [1000.0 - 90.0, 0.0] == [moment(text)(1000.0) for text in ("90s", "7d")]
    assert 1767323100.0 == moment("2026-01-02T03:05:00Z")(0.0) == moment("2026-01-02T04:05+01:00")(0.0)


def test_any_date_is_a_moment() -> None:
    """Without a zone too, and where the system's calendar ends: on Windows in 1970 and 3000."""

    assert [0.0, 0.0] == [moment(text)(5.0) for text in ("0001-01-01", "1900-01-01T12:00")]
    assert moment("9999-12-31")(5.0) > moment("3456-01-01")(5.0) > moment("2026-01-02")(5.0) > 1767000000.0


def test_states_however_they_are_written() -> None:
    assert ["sign-in-needed"] * 3 == [
        one_of(["sign-in-needed"])(text) for text in ("Sign-in needed", "sign_in_needed", "SIGN-IN-NEEDED")
    ]
