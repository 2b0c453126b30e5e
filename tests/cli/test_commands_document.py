"""docs/commands.md: its tables are made from the grammar, and every command with `--format json` has its shape there."""

from __future__ import annotations

import os
import re

import pytest

from tests import ROOT
from trayapp.cli.grammar import GROUPS, parser
from trayapp.cli.parser import Parser

FILE = ROOT / "docs/commands.md"
BEGIN = "<!-- commands: made by tests/cli/test_commands_document.py from trayapp/cli/grammar.py -->\n"
END = "<!-- end of commands -->"


def tables() -> str:
    """A table for each group of commands."""
    commands = parser().commands
    parts = []
    for title, names in GROUPS:
        rows = [f"| `{usage(commands[name])}` | {commands[name].summary} |" for name in names if name in commands]
        parts.append("\n".join([f"### {title[0].upper()}{title[1:]}", "", "| command | |", "| --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def usage(command: Parser) -> str:
    """The arguments; options that every command has are left out."""
    import textwrap

    text = " ".join(command.format_usage().split()).removeprefix("usage: amberlight ")
    text = text.partition(" amberlight ")[0]  # of several forms, the first
    text = re.sub(r" \[(-h|--format \{text,json\})\]", "", text).replace(" | --format {text,json}", "")
    if command.usage:  # written by hand
        return text.replace("|", "\\|")
    options = re.findall(r" \[-[^\]]*\]", text)
    positional = text
    for option in options:
        positional = positional.replace(option, "", 1)
    return textwrap.shorten(f"{positional}{''.join(options)}", 90, placeholder=" …").replace("|", "\\|")


@pytest.fixture
def text() -> str:
    return FILE.read_text(encoding="utf-8")


def test_tables_are_up_to_date(text: str) -> None:
    """`AMBERLIGHT_WRITE_DOCS=1 pytest tests/cli/test_commands_document.py` writes them."""

    first, last = text.index(BEGIN) + len(BEGIN), text.index(END)
    if os.environ.get("AMBERLIGHT_WRITE_DOCS"):
        FILE.write_text(text[:first] + tables() + text[last:], encoding="utf-8")
        return

    assert tables() == text[first:last]


def test_every_command_is_in_one_group() -> None:
    """So that the help and this page show it once."""

    grouped = [name for _, names in GROUPS for name in names]
    assert sorted(parser().commands) == sorted(grouped)


def test_every_json_shape_is_described(text: str) -> None:
    """In the section on JSON, by the command's name."""

    section = text.partition("## JSON")[2]
    with_json = {
        name
        for name, command in parser().commands.items()
        if any("--format" in action.option_strings for each in command.every_parser() for action in each._actions)
    }
    described = set(
        re.findall(r"`([a-z-]+)", "\n".join(line.split("|")[1] for line in section.splitlines() if line[:1] == "|"))
    )
    assert set() == with_json - described
