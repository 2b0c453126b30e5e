"""Every sentence that people read, with the file and line it stands in: Python, JavaScript, HTML, Markdown, --help."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from tests import ROOT

GAP = "{}"  # stands for a value that is filled in
SHOWN = frozenset({"title", "aria-label", "aria-description", "placeholder", "alt", "content"})  # attributes
REGEX_AFTER = "(,=:[!&|?{};+-*%<>~^\n"  # a slash after one of these begins a regular expression


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text and where it begins. `logged`: it is written to the log."""

    file: str
    line: int
    text: str
    logged: bool = False

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def words(self) -> list[str]:
        return re.findall(r"[A-Za-z][A-Za-z'’-]+|\b[aI]\b", self.text)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def in_python() -> tuple[Sentence, ...]:
    return tuple(
        each
        for path in sorted((ROOT / "trayapp").rglob("*.py"))
        for each in of_python(path.read_text("utf-8"), name_of(path))
    )


@cache
def on_the_page() -> tuple[Sentence, ...]:
    web = ROOT / "trayapp" / "web"
    scripts = (
        each for path in sorted(web.rglob("*.js")) for each in of_javascript(path.read_text("utf-8"), name_of(path))
    )
    pages = (each for path in sorted(web.rglob("*.html")) for each in of_html(path.read_text("utf-8"), name_of(path)))
    return (*scripts, *pages)


@cache
def in_documents() -> tuple[Sentence, ...]:
    files = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
    return tuple(each for path in files for each in of_markdown(path.read_text("utf-8"), name_of(path)))


@cache
def in_help() -> tuple[Sentence, ...]:
    from trayapp.cli.grammar import parser

    return tuple(of_parser(parser()))


# --- Python ----------------------------------------------------------------------------------------------------------


def of_python(source: str, file: str) -> Iterator[Sentence]:
    """The string constants, with values filled in as `GAP`; no docstrings."""
    tree = ast.parse(source)
    logged = {id(part) for node in ast.walk(tree) if _is_log_call(node) for part in ast.walk(node)}
    skipped: set[int] = set()
    for node in ast.walk(tree):  # parents come before their children
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.JoinedStr):
            skipped.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in node.values)
        if id(node) in skipped:
            continue
        if (text := _text(node)) is not None:
            assert isinstance(node, ast.expr)
            yield Sentence(file, node.lineno, text, id(node) in logged)


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_log_call(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
            return True
        case _:
            return False


# --- JavaScript and HTML ---------------------------------------------------------------------------------------------


def of_javascript(source: str, file: str) -> Iterator[Sentence]:
    """The string and template literals."""
    yield from _Script(source, file).strings(len(source))


class _Script:
    """A scanner that knows strings, templates, comments and regular expressions, and nothing else of the language."""

    def __init__(self, source: str, file: str) -> None:
        self.source, self.file, self.at = source, file, 0
        self.before = "\n"  # the last character that is no space
        self.inner: list[Sentence] = []  # the strings inside a template's values

    def strings(self, end: int, until: str = "") -> Iterator[Sentence]:
        depth = 0
        while self.at < end:
            char, two = self.source[self.at], self.source[self.at : self.at + 2]
            if two == "//":
                self.at = self._after("\n")
            elif two == "/*":
                self.at = self._after("*/")
            elif char in "\"'`":
                line = self.source.count("\n", 0, self.at) + 1
                yield Sentence(self.file, line, self._literal(char))
                yield from self.inner
                self.inner = []
                self.before = char
            elif char == "/" and (self.before in REGEX_AFTER or self._is_after_return()):
                self._regular_expression()
            else:
                depth += (char == "{") - (char == "}")
                self.at += 1
                if char == until and depth < 0:
                    return
                self.before = self.before if char.isspace() and char != "\n" else char

    def _after(self, end: str) -> int:
        found = self.source.find(end, self.at + 2)
        return len(self.source) if found < 0 else found + len(end)

    def _is_after_return(self) -> bool:
        return self.source[: self.at].rstrip().endswith("return")

    def _literal(self, quote: str) -> str:
        self.at += 1
        text = ""
        while self.source[self.at] != quote:
            if self.source[self.at] == "\\":
                text += " " if self.source[self.at + 1] in "nt" else self.source[self.at + 1]
                self.at += 2
            elif quote == "`" and self.source.startswith("${", self.at):
                self.at += 2
                inner = list(self.strings(len(self.source), "}"))
                self.inner = [*self.inner, *inner]
                text += GAP
            else:
                text += self.source[self.at]
                self.at += 1
        self.at += 1
        return text

    def _regular_expression(self) -> None:
        in_class = False
        self.at += 1
        while in_class or self.source[self.at] != "/":
            char = self.source[self.at]
            in_class = (in_class or char == "[") and char != "]"
            self.at += 2 if char == "\\" else 1
        self.at += 1
        self.before = "/"


def of_html(source: str, file: str) -> Iterator[Sentence]:
    """The text and the attributes that are shown or read out."""
    page = _Page(file)
    page.feed(source)
    yield from page.found


class _Page(HTMLParser):
    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = file
        self.found: list[Sentence] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [Sentence(self.file, self.getpos()[0], value) for name, value in attrs if name in SHOWN and value]

    def handle_data(self, data: str) -> None:
        if text := " ".join(data.split()):
            self.found.append(Sentence(self.file, self.getpos()[0], text))


# --- Markdown and --help ---------------------------------------------------------------------------------------------


def of_markdown(source: str, file: str) -> Iterator[Sentence]:
    """The paragraphs; each row of a table and each item of a list is one. Links lose their targets."""
    line = 1
    for block in re.split(r"(\n(?:[ \t]*\n)+|\n(?=[ \t]*(?:[-*|#>]|\d+\.)\s?))", source):
        if text := " ".join(re.sub(r"\]\([^)]*\)", "]", block).split()):
            yield Sentence(file, line, text)
        line += block.count("\n")


def of_parser(parser: argparse.ArgumentParser) -> Iterator[Sentence]:
    """What `--help` prints, of the program and of each command; lines that were folded are joined again."""
    for paragraph in parser.format_help().split("\n\n"):
        yield Sentence(f"{parser.prog} --help", 1, " ".join(paragraph.split()))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):
                yield from of_parser(command)
