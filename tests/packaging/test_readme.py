"""README and guides match the code: settings and state diagram are generated, commands, images and pages exist."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT
from tests.core.test_table import cells
from trayapp.cli.entry import split_command
from trayapp.cli.grammar import parser
from trayapp.config.settings import rows

README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
GUIDES = ("README.md", "docs/setup.md")
BEGIN = "<!-- settings: made by tests/packaging/test_readme.py from trayapp/config/settings.py -->\n"
END = "<!-- end of settings -->"
STATES = "<!-- states: made by tests/packaging/test_readme.py from the transition table -->\n"
STATES_END = "<!-- end of states -->"
PLAIN = {
    "go": "attempt",
    "loaded": "login found",
    "loaded 5": "login found",
    "loaded none": "no login",
    "loaded access-only": "login without refresh token found",
    "signed-in": "signed in",
    "signed-in access-only": "signed in",
    "sign-out": "sign out",
    "configured identity": "configuration changed",
    "configured timing": "configuration changed",
    "manual": "retry now",
    "rejected": "upstream says 401",
    "rejected invalid": "upstream says 401",
    "not-sent": "nothing sent",
    "ambiguous": "no answer",
    "busy 502": "server busy",
    "busy 503 after 30": "server busy",
}


def settings_table() -> str:
    """The table of all settings, in Markdown."""
    lines = ["| key | where | default | environment | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, place, default, variable, meaning in rows():
        shown = f"`{default}`" if default else ""
        where = place.replace("[", "`[").replace("]", "]`")
        lines.append(f"| `{name}` | {where} | {shown} | {f'`{variable}`' if variable else ''} | {meaning} |")
    return "\n".join(lines) + "\n"


def state_diagram() -> str:
    """The phases and their transitions as a Mermaid diagram, from the cells that test_table.py plays."""
    transitions: dict[tuple[str, str], list[str]] = {}
    for phase, line in cells():
        event, _, after = line.partition("->")
        to = re.split(r"[:,| ]", after.strip(), maxsplit=1)[0]
        if to != phase:
            transitions.setdefault((phase.value, to), []).append(PLAIN.get(event.strip(), event.strip()))
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> loading"]
    for (begin, to), events in transitions.items():
        lines.append(f"    {begin} --> {to}: {', '.join(dict.fromkeys(events))}")
    return "\n".join([*lines, "```"]) + "\n"


@pytest.mark.parametrize(
    ("file", "begin", "end", "made"),
    [(SETTINGS, BEGIN, END, settings_table), (ARCHITECTURE, STATES, STATES_END, state_diagram)],
)
def test_generated_parts_are_up_to_date(file: Path, begin: str, end: str, made: Callable[[], str]) -> None:
    """`AMBERLIGHT_WRITE_README=1 pytest tests/packaging/test_readme.py` writes them."""

    text = file.read_text(encoding="utf-8")
    first, last = text.index(begin) + len(begin), text.index(end)
    if os.environ.get("AMBERLIGHT_WRITE_README"):
        file.write_text(text[:first] + made() + text[last:], encoding="utf-8")
        return

    assert made() == text[first:last]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_it_names_exists(guide: str) -> None:
    """And accepts the options it is shown with."""

    text = (ROOT / guide).read_text(encoding="utf-8")
    shown = re.findall(r"^    amberlight ([^#\n]*)", text, flags=re.MULTILINE)
    shown += re.findall(r"\$\(amberlight ([^)]*)\)", text)

    assert len(shown) > 1
    for line in shown:
        parser().parse_args(split_command(line.split())[0])


def test_its_images_exist() -> None:
    """And are small enough for a page."""

    for name in re.findall(r"\]\((assets/[^)]+)\)", README.read_text(encoding="utf-8")):
        assert 150_000 > (ROOT / name).stat().st_size > 1_000


def test_it_takes_a_minute_to_read() -> None:
    """The rest is on pages that it links to, and that exist."""

    text = README.read_text(encoding="utf-8")

    assert len(text.splitlines()) < 150
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert len(links) > 10
    for name in links:
        assert (ROOT / name).is_file()


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """To a file of the repository, and to a heading that it has."""

    for link in re.findall(r"\]\(([^)\s:]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}, link
