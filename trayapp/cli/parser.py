"""The argument parser of the command line: grouped help that fits the terminal, and errors that name the right help."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from trayapp.cli.arguments import moment, workload_name
from trayapp.cli.codes import USAGE, OutputError

WIDTH_MAX = 80  # columns; longer lines are hard to read
WIDTH_MIN = 24
NAME_COLUMN = 16  # of the list of commands

Groups = Sequence[tuple[str, Sequence[str]]]  # headings, each with its commands


class Parser(argparse.ArgumentParser):
    """A parser of one command, or of all of them. It accepts no abbreviated options.

    `summary` is what the list of commands says about it; `commands` are those below it.
    """

    def __init__(self, *, example: str = "", epilog: str = "", groups: Groups = (), **kwargs: Any) -> None:
        self.example = example
        self.notes = epilog
        self.groups = groups
        self.summary = ""
        self.commands: Mapping[str, Parser] = {}
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **kwargs)
        self._positionals.title = "arguments"

    def format_usage(self) -> str:
        """The usage, with each option and its value on one line."""
        import re

        lines = (self.usage or super().format_usage().removeprefix("usage: ").replace("\n", " ")).split("\n")
        lines = [f"{'usage: ' if i == 0 else '       '}{' '.join(line.split())}" for i, line in enumerate(lines)]
        whole = [re.sub(r"\[[^\[\]]*\]", lambda found: found[0].replace(" ", "\0"), line) for line in lines]
        parts = [
            part for line in whole for part in wrapped(line.lstrip(), help_width(), "  ", line[: -len(line.lstrip())])
        ]
        return "\n".join(parts).replace("\0", " ") + "\n"

    def format_help(self) -> str:
        """The whole help; every line fits the terminal, if no single word is longer."""
        width = help_width()
        parts = [self.format_usage(), filled(self.description or "", width)]
        parts += self._command_list(width) if self.groups else []
        parts.append(self._arguments())
        if self.example:
            lines = [f"  {part}" for line in self.example.splitlines() for part in folded(line, width - 2)]
            parts.append("\n".join(["examples:", *lines]))
        if self.notes:
            parts.append("\n".join(_note(line, width) for line in self.notes.splitlines()))
        return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"

    def _command_list(self, width: int) -> list[str]:
        """A paragraph for each group; commands of no group come last."""
        grouped = {name for _, names in self.groups for name in names}
        groups = [*self.groups, ("more", [name for name in self.commands if name not in grouped])]
        listed = [(title, [name for name in names if name in self.commands]) for title, names in groups]
        return [
            "\n".join([f"{title}:", *(_row(name, self.commands[name].summary, width) for name in names)])
            for title, names in listed
            if names
        ]

    def _arguments(self) -> str:
        """Arguments and options, as argparse formats them."""
        formatter = self._get_formatter()
        for group in self._action_groups:
            shown = [action for action in group._group_actions if not (self.groups and _is_choice(action))]
            formatter.start_section(group.title)
            formatter.add_text(group.description)
            formatter.add_arguments(shown)
            formatter.end_section()
        return formatter.format_help()

    def every_parser(self) -> Iterator[Parser]:
        """This one and all below it."""
        yield self
        for command in self.commands.values():
            yield from command.every_parser()

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help that can't be written isn't success, as argparse would have it. Raises `OutputError`."""
        if file is None or file is not sys.stdout:
            with contextlib.suppress(OSError):  # argparse of Python 3.11.2 doesn't; the exit code says it, too
                super()._print_message(message, file)
            return
        try:
            file.write(message)
            file.flush()
        except OSError as error:
            raise OutputError(error) from None

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"amberlight: {message}\nSee `{self.prog} --help`.\n")

    def unexpected(self, words: Sequence[str]) -> NoReturn:
        """Wrong usage: arguments that this command doesn't have."""
        word = words[0]
        option = word.startswith("-") and len(word) > 1
        known = [text for action in self._actions for text in action.option_strings]
        meant = near(word.partition("=")[0], known) if option else ""
        self.error(f"{'unknown option' if option else 'unexpected argument:'} {word}{meant}")


def add_command(commands: Any, name: str, summary: str, example: str, more: str = "") -> Parser:
    """A new command. `summary` is for the list of commands, `more` what only its own help says."""
    text = f"{summary[0].upper()}{summary[1:]}."
    made: Parser = commands.add_parser(name, help=summary, description=f"{text} {more}".rstrip(), example=example)
    made.summary = summary
    made.set_defaults(parser=made)
    return made


def named(
    commands: Any, name: str, summary: str, example: str, more: str = "", *, of: Callable[[str], str] = workload_name
) -> Parser:
    """A new command for one workload; `of` reads its name."""
    command = add_command(commands, name, summary, example, more)
    command.add_argument("name", metavar="NAME", type=of, help="the workload")
    return command


def one_or_all(commands: Any, name: str, summary: str, example: str, more: str = "") -> Parser:
    """A new command for one workload or all of them."""
    command = add_command(commands, name, summary, example, more)
    command.usage = f"amberlight {name} (NAME | --all) [--format {{text,json}}]"
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="NAME", type=workload_name, nargs="?", help="the workload")
    which.add_argument("--all", action="store_true", help="all workloads")
    add_format(command)
    return command


def add_format(command: Parser) -> None:
    command.add_argument("--format", choices=("text", "json"), default="text", help="how to print it (text)")


def add_since(command: Parser, default: str = "") -> None:
    help_text = "how far back: a span such as 2h or 7d, or a time such as 2026-01-02T15:04"
    command.add_argument("--since", metavar="TIME", type=moment, help=help_text + (f" ({default})" if default else ""))


def near(word: str, known: Sequence[str]) -> str:
    """A question about the nearest known word, to follow an error; "" if none is near."""
    from difflib import get_close_matches

    similar = get_close_matches(word, known, 1, 0.6)
    return f". Did you mean {similar[0]}?" if similar else ""


def _is_choice(action: argparse.Action) -> bool:
    return isinstance(action, argparse._SubParsersAction)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Breaks lines between words only, never at the hyphen of an option or of "sign-in"."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=help_width())

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(" ".join(text.split()), width)


def help_width() -> int:
    """Columns of the help."""
    return max(WIDTH_MIN, min(WIDTH_MAX, shutil.get_terminal_size().columns))


def wrapped(text: str, width: int, indent: str = "", first: str | None = None) -> list[str]:
    """Lines of at most this width; words stay whole. `first` begins the first line, `indent` the others."""
    begin = indent if first is None else first
    return textwrap.wrap(
        text, width, initial_indent=begin, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def filled(text: str, width: int) -> str:
    """Each line of the text as a paragraph of its own."""
    return "\n".join("\n".join(wrapped(line, width)) for line in text.splitlines())


def folded(command: str, width: int) -> list[str]:
    """A shell command on lines of this width, continued with backslashes."""
    if len(command) <= width:
        return [command]
    lines = wrapped(command, width - 2, "    ", "")
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def _row(name: str, text: str, width: int) -> str:
    return "\n".join(wrapped(text, width, " " * (NAME_COLUMN + 2), f"  {name:<{NAME_COLUMN}}"))


def _note(line: str, width: int) -> str:
    """A line of notes; what is continued is indented like its text: "  3  text"."""
    bare = line.lstrip()
    indent = len(line) - len(bare) + (3 if bare[:1].isdigit() else 0)
    return "\n".join(wrapped(bare, width, " " * indent, " " * (len(line) - len(bare))))
