"""The README says what is so: its settings are those of the code, its commands exist, its picture is there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from trayapp.cli.entry import parser, split_command
from trayapp.settings import table

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BEGIN = "<!-- settings: made by tests/test_readme.py from trayapp/settings.py -->\n"
END = "<!-- end of settings -->"


def settings_table() -> str:
    """The table of all settings, in Markdown."""
    lines = ["| key | where | default | environment | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, place, default, variable, meaning in table():
        shown = f"`{default}`" if default else ""
        where = place.replace("[", "`[").replace("]", "]`")
        lines.append(f"| `{name}` | {where} | {shown} | {f'`{variable}`' if variable else ''} | {meaning} |")
    return "\n".join(lines) + "\n"


def test_the_settings_are_those_of_the_code() -> None:
    """`AMBERLIGHT_WRITE_README=1 pytest tests/test_readme.py` writes them."""

    text = README.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if os.environ.get("AMBERLIGHT_WRITE_README"):
        README.write_text(text[:begin] + settings_table() + text[end:], encoding="utf-8")
        return

    assert settings_table() == text[begin:end]


def test_every_command_it_names_exists() -> None:
    """And takes the options it is shown with."""

    text = README.read_text(encoding="utf-8")
    shown = re.findall(r"^    amberlight ([^#\n]*)", text, flags=re.MULTILINE)
    shown += re.findall(r"\$\(amberlight ([^)]*)\)", text)

    assert len(shown) > 6
    for line in shown:
        parser().parse_args(split_command(line.split())[0])


def test_its_picture_is_there() -> None:
    """And small enough for a page."""

    for name in re.findall(r"\]\((assets/[^)]+)\)", README.read_text(encoding="utf-8")):
        assert 150_000 > (ROOT / name).stat().st_size > 1_000
