"""Questions in the terminal: which keys mean what, and what was typed too early."""

from __future__ import annotations

import io
import os
import select
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from trayapp.cli.pasted_lines import PastedLines
from trayapp.cli.questions import Answer, Questions, confirmed, typed

Capture = pytest.CaptureFixture[str]


class Typed(PastedLines):
    """One line for each question; None is the end of the input."""

    def __init__(self, *lines: str | None) -> None:
        self._answers = list(lines)

    def wait(self) -> str | None:
        return self._answers.pop(0)

    def drop(self) -> None:
        pass


def asked(*lines: str | None) -> Questions:
    return Questions(agree=False, lines=Typed(*lines))


@pytest.mark.parametrize(
    ("line", "expected"),
    [("", True), ("y", True), (" YES ", True), ("n", False), ("no", False), ("what?", False), ("\x1b[A", False)],
)
def test_yes(line: str, expected: bool) -> None:
    assert expected is asked(line).yes("Go on?")


@pytest.mark.parametrize(
    ("line", "more", "expected"),
    [("", 2, Answer.YES), ("n", 2, Answer.NO), ("s", 2, Answer.NO_MORE), ("s", 0, Answer.NO)],
)
def test_each(line: str, more: int, expected: Answer, capsys: Capture) -> None:
    """The rest can be skipped only where there is one."""

    assert expected is asked(line).each("Sign in?", more)
    assert ("skip the rest" in capsys.readouterr().out) is (more > 0)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", [0, 1, 2, 3]),
        ("all", [0, 1, 2, 3]),
        ("n", []),
        ("3", [2]),
        ("4 2 2", [1, 3]),
        ("1,3", [0, 2]),
        (" 2-4, ", [1, 2, 3]),
    ],
)
def test_which(line: str, expected: Sequence[int]) -> None:
    assert expected == asked(line).which("Keep it?", "Keep which?", 4)


@pytest.mark.parametrize("line", ["0", "5", "1 5", "3-1", "-1", "1-", "x", "1 x", "\u0663", "9" * 5000])
def test_which_asks_again(line: str, capsys: Capture) -> None:
    """Nothing is guessed, and a number that isn't there takes nothing with it."""

    assert [0] == asked(line, "1").which("Keep it?", "Keep which?", 4)
    assert 1 == capsys.readouterr().out.count("Enter numbers from 1 to 4")


def test_which_of_one_is_a_plain_question(capsys: Capture) -> None:
    assert [0] == asked("").which("Keep it?", "Keep which?", 1)
    assert [] == asked("n").which("Keep it?", "Keep which?", 1)
    assert "which" not in capsys.readouterr().out


def test_text_is_kept_as_it_was_typed() -> None:
    """A path in an address has capitals, and a paste brings its own brackets."""

    assert "https://Host/MCP" == asked("  https://Host/MCP \x00").text("Address? ")


def test_whoever_agrees_is_not_asked() -> None:
    """And adds nothing by name."""

    agreed = Questions(agree=True, lines=Typed())
    assert agreed.yes("Go on?")
    assert Answer.YES is agreed.each("Sign in?", 3)
    assert [0, 1] == agreed.which("Keep it?", "Keep which?", 2)
    assert "" == agreed.text("Address? ")


def test_the_end_of_the_input_is_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt):
        asked(None).yes("Go on?")


# --- a single question -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "default_no", "default_yes"),
    [
        ("y\n", True, True),
        (" YES \r\n", True, True),
        ("\n", False, True),
        ("n\n", False, False),
        ("yep\n", False, False),
        ("", False, False),  # the end of the input
    ],
)
def test_what_confirms(
    line: str, default_no: bool, default_yes: bool, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Only yes does, and Enter where the question says so."""

    for enter, expected, shown in ((False, default_no, "Remove it? [y/N] "), (True, default_yes, "Remove it? [Y/n] ")):
        monkeypatch.setattr("sys.stdin", io.StringIO(line))
        assert expected is confirmed("Remove it?", enter=enter)
        assert shown == capsys.readouterr().out


def test_an_answer_of_another_kind_comes_as_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In lower case; the end of the input is no answer."""

    monkeypatch.setattr("sys.stdin", io.StringIO(" Each\n"))
    assert ("each", None) == (typed("Import? [y]es, [n]o, [e]ach: "), typed("Import? [y]es, [n]o, [e]ach: "))


@pytest.mark.linux("a terminal")
def test_what_was_typed_before_confirms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A y from before the question was shown is dropped; the one after it counts."""

    outer, inner = os.openpty()
    with os.fdopen(outer, "r+b", buffering=0) as keyboard, os.fdopen(inner) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        shown: list[str] = []

        def show(question: str) -> None:
            shown.append(question)
            keyboard.write(b"n\n")

        monkeypatch.setattr("trayapp.cli.questions.print_question", show)
        keyboard.write(b"y\n")
        assert select.select([terminal], [], [], 5)[0]

        assert not confirmed("Remove it?")
        assert ["Remove it? [y/N] "] == shown


# --- the lines themselves --------------------------------------------------------------------------------------------


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], object]]:
    """Standard input is a pipe: what types into it, and closes it with b""."""
    read, write = os.pipe()
    with os.fdopen(read) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        closed = False

        def type_(text: bytes) -> None:
            nonlocal closed
            if text:
                os.write(write, text)
            elif not closed:
                closed = True
                os.close(write)

        yield type_
        type_(b"")


def test_lines_come_in_order_and_end(keyboard: Callable[[bytes], object]) -> None:
    """Also one without a line feed at the end."""

    lines = PastedLines()
    keyboard(b"one\ntwo\nthr")
    assert ["one", "two"] == [lines.wait(), lines.wait()]
    keyboard(b"ee")
    keyboard(b"")
    assert ["three", None] == [lines.wait(), lines.wait()]


def test_dropped_lines_answer_nothing(keyboard: Callable[[bytes], object]) -> None:
    lines = PastedLines()
    keyboard(b"early\nearly\n")
    until = time.monotonic() + 5
    while lines._lines.qsize() < 2 and time.monotonic() < until:
        time.sleep(0.001)
    lines.drop()
    keyboard(b"late\n")
    assert "late" == lines.wait()
