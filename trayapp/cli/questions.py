"""Questions in the terminal, one key press each. Nothing that was typed before a question was shown answers it."""

from __future__ import annotations

import re
import sys
from enum import Enum, auto

from trayapp.cli.output import print_line, print_question
from trayapp.cli.pasted_lines import PastedLines, drop_typed

YES = ("y", "yes")


def can_ask() -> bool:
    """Whether a person can type here: a script's standard input isn't ours to read, and it may be closed."""
    return sys.stdin is not None and sys.stdin.isatty()


class Answer(Enum):
    """An answer to a question that is asked for each of several things."""

    YES = auto()
    NO = auto()
    NO_MORE = auto()  # this one and all that would follow


class Questions:
    """Asks questions; with `agree` every answer is yes without asking. The end of the input counts as Ctrl-C.

    `lines` is the only reader of the terminal, for whoever waits for something else meanwhile.
    """

    def __init__(self, *, agree: bool, lines: PastedLines | None = None) -> None:
        self.lines = lines or PastedLines()
        self._agree = agree

    def yes(self, question: str) -> bool:
        """Enter means yes."""
        return self._agree or _is_yes(self._ask(f"{question} [Y/n] "))

    def each(self, question: str, more: int) -> Answer:
        """The same for one of several things; `more` follow."""
        if self._agree:
            return Answer.YES
        answer = self._ask(f"{question} [{'Y/n, s: skip the rest' if more else 'Y/n'}] ")
        if more and answer in ("s", "skip"):
            return Answer.NO_MORE
        return Answer.YES if _is_yes(answer) else Answer.NO

    def which(self, one: str, several: str, count: int) -> list[int]:
        """Indices of what was chosen. `one` is asked if there is only one, `several` otherwise."""
        if count == 1:
            return [0] if self.yes(one) else []
        if self._agree:
            return list(range(count))
        while True:
            answer = self._ask(f"{several} [Enter: all, 1 2: these, n: none] ")
            if answer in ("", "a", "all", "y", "yes"):
                return list(range(count))
            if answer in ("n", "no", "none"):
                return []
            if chosen := _numbers(answer, count):
                return chosen
            print_line(f"Enter numbers from 1 to {count}, such as 1 {count}. Press Enter for all, or n for none.")

    def text(self, question: str) -> str:
        """A line as typed; empty to continue."""
        return "" if self._agree else self._line(question)

    def _ask(self, question: str) -> str:
        return self._line(question).lower()

    def _line(self, question: str) -> str:
        self.lines.drop()
        print_question(question)
        line = self.lines.wait()
        if line is None:
            raise KeyboardInterrupt
        return "".join(c for c in line if c.isprintable()).strip()


def confirmed(question: str, *, enter: bool = False) -> bool:
    """Ask a single question. Enter means `enter`: yes only where that changes nothing. The end of the input means no."""
    answer = typed(f"{question} [{'Y/n' if enter else 'y/N'}] ")
    return answer is not None and (_is_yes(answer) if enter else answer in YES)


def typed(question: str) -> str | None:
    """The answer to a question that says itself which there are, in lower case. None at the end of the input."""
    drop_typed()
    print_question(question)
    line = sys.stdin.readline()
    return line.strip().lower() if line else None


def _is_yes(answer: str) -> bool:
    return answer == "" or answer in YES


def _numbers(answer: str, count: int) -> list[int]:
    """Indices of numbers and ranges, as in "1 3-5"; empty if anything else is in it."""
    chosen: set[int] = set()
    for word in re.split(r"[\s,]+", answer.strip(" ,")):
        found = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", word)
        if found is None:
            return []
        first, last = int(found[1]), int(found[2] or found[1])
        if not 1 <= first <= last <= count:
            return []
        chosen |= set(range(first - 1, last))
    return sorted(chosen)
