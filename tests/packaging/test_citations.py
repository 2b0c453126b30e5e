"""Every rule, checklist item, section, document and function that the repository cites is in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT

RULES = "trayapp/core/RULES.md"
PROSE = (".py", ".md", ".toml", ".sh", ".js", ".mjs", ".yaml", ".spec", ".css", ".html")
GUIDES = (
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    RULES,
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))),
)
GENERATED = ("SKILL.md",)  # names of other programs' documents that a text may mention: none is ours


@cache
def tracked() -> tuple[str, ...]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def texts() -> dict[str, str]:
    """All prose and code but this file, which has to name what it forbids."""
    here = Path(__file__).resolve().relative_to(ROOT).as_posix()
    return {name: (ROOT / name).read_text("utf-8") for name in tracked() if name.endswith(PROSE) and name != here}


def cited(pattern: str) -> dict[str, set[str]]:
    """What the pattern's group found, and the files it stands in."""
    found: dict[str, set[str]] = {}
    for name, text in texts().items():
        for match in re.finditer(pattern, text):
            found.setdefault(match.group(1), set()).add(name)
    return found


def unknown(found: dict[str, set[str]], known: set[str]) -> dict[str, set[str]]:
    return {what: files for what, files in found.items() if what not in known}


def test_every_rule_has_its_text() -> None:
    """`M9` is a heading of RULES.md, and every heading is cited somewhere in the code."""
    rules = set(re.findall(r"^#+ (M\d+)\b", (ROOT / RULES).read_text("utf-8"), re.MULTILINE))
    found = cited(r"(?<![\w.\-])(M\d{1,2})(?![\w%])(?! [\d.-])")

    assert {f"M{number}" for number in range(1, 19)} == rules
    assert {} == unknown(found, rules)
    assert {} == {rule: 0 for rule in rules if not any(f.endswith(".py") for f in found.get(rule, ()))}


def test_every_numbered_citation_resolves() -> None:
    """`SECURITY.md 24` and `RULES.md section 3` lead to an item and a heading."""
    items = set(re.findall(r"^(\d+)\. ", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE))
    sections = set(re.findall(r"^## (\d+)\b", (ROOT / RULES).read_text("utf-8"), re.MULTILINE))

    assert {str(number) for number in range(1, 41)} == items
    assert {} == unknown(cited(r"SECURITY\.md (?:item )?(\d+)"), items)
    assert {} == unknown(cited(r"RULES\.md[, ]+sections? (\d+)"), sections)
    assert {} == cited(r"(SECURITY \d+)"), "say SECURITY.md N"


def test_every_named_document_is_here() -> None:
    """No text leads to a document outside the repository."""
    names = {Path(name).name for name in tracked()} | set(GENERATED)
    found = cited(r"(?<![\w/*.])((?:[\w.-]+/)*[A-Z][A-Z_]+\.md)\b")

    assert {} == {what: files for what, files in found.items() if Path(what).name not in names}


@pytest.mark.parametrize("guide", GUIDES)
def test_every_function_of_the_guides_exists(guide: str) -> None:
    """`core/gate.py:woke` names a file, and a function, class or constant in it."""
    text = (ROOT / guide).read_text("utf-8")
    wrong = []
    for match in re.finditer(r"`((?:[\w-]+/)*[\w-]+\.(?:py|js|md|txt|sh))(?::([\w.]+))?`", text):
        path, name = match.groups()
        roots = (ROOT / "trayapp", ROOT, (ROOT / guide).parent)
        places = [root / path for root in roots if (root / path).is_file()]
        if not places or (name and name not in names_in(places[0])):
            wrong.append(match.group().strip("`"))

    assert [] == wrong


@cache
def names_in(path: Path) -> frozenset[str]:
    """Functions, classes, their methods as `Class.method` and `method`, and module constants."""
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    found |= {inner.name, f"{node.name}.{inner.name}"}
                if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                    found |= {inner.target.id, f"{node.name}.{inner.target.id}"}
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(found)
