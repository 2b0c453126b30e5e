"""The page's texts: all in two tables, each once, none of the retired words; and the page's files are small."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from trayapp.api import pages

RETIRED = re.compile(
    r"\b(mend|mended|by itself|by themselves|in vain|needs you|need you|from time to time|a while|a moment|hand(s|ed)? (on|over)"
    r"|asked in vain|all the same|programs?)\b",
    re.IGNORECASE,
)
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')
LINES_MAX = 400
BYTES_MAX = 150_000
WORDS = ("words.js", "section_words.js")  # what the first page says, and what is loaded with sections and dialogs
IMPORT = re.compile(r'^(?:import|export) .*from "\./(\w+\.js)";$', re.MULTILINE)


def read(name: str) -> str:
    return (pages.WEB / name).read_text(encoding="utf-8")


def table(file: str) -> list[tuple[str, str]]:
    """The keys and texts of a file's table `WORDS`."""
    found = re.search(r"export const WORDS = {\n(.*?)\n};", read(file), re.DOTALL)
    assert found
    return re.findall(r'^  (\w+): "((?:[^"\\]|\\.)*)",$', found[1], re.MULTILINE)


def first_page() -> set[str]:
    """The files of the first page: all but the modules and styles that are loaded only when a person goes to a section."""
    found: set[str] = set()
    left = ["app.js"]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += IMPORT.findall(read(name))
    return found | {"index.html", *re.findall(r'"/web/([\w.]+)"', read("index.html"))}


class Texts(HTMLParser):
    """The texts of a page, and what its `data-t`, `data-label` and `data-hint` attributes name."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.named: set[str] = set()
        self._in: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in.append(tag)
        self.named |= {str(value) for key, value in attrs if key in ("data-t", "data-label", "data-hint")}

    def handle_data(self, data: str) -> None:
        if data.strip() and "noscript" not in self._in[-4:]:
            self.texts.append(data.strip())


def test_the_html_has_no_texts_of_its_own() -> None:
    """But the name, and what is said without JavaScript; every other is in the table."""

    parser = Texts()
    parser.feed(read("index.html"))

    assert {"Amberlight", "⋯"} == {text for text in parser.texts if "JavaScript" not in text and "list" not in text}
    assert parser.named <= dict(table("words.js")).keys() | {"connected", "reconnecting", "others"}


def test_no_text_twice_and_none_retired() -> None:
    """A sentence is written once, so that it is changed once."""

    rows = [row for file in WORDS for row in table(file)]
    keys, texts = [key for key, _ in rows], [text for _, text in rows]

    assert [] == sorted({each for each in keys if keys.count(each) > 1})
    assert [] == sorted({text for text in texts if texts.count(text) > 1})
    assert [] == [found[0] for file in WORDS for found in LITERAL.finditer(read(file)) if RETIRED.search(found[0])]


def test_every_text_is_used() -> None:
    """By the HTML or a module; some by the name of a step, a section or a check's state."""

    modules = {path.name: read(path.name) for path in pages.WEB.glob("*.js")}
    named = set(re.findall(r'data-(?:t|label|hint)="(\w+)"', read("index.html")))
    steps = set(re.findall(r"(\w+): \w+", re.findall(r"STEPS = {(.*?)}", modules["setup.js"])[0]))
    states = {"ok", "warning", "problem"}
    used = named | steps | states | set(re.findall(r"\bWORDS\.(\w+)", "".join(modules.values())))
    said = set(re.findall(r"\bsay\.(\w+)", "".join(modules.values())))
    spoken = {key for file in WORDS for key in re.findall(r"^  (\w+): \(", modules[file], re.MULTILINE)}

    assert [] == sorted({key for file in WORDS for key, _ in table(file)} - used)
    assert [] == sorted(spoken - said)


@pytest.mark.parametrize("path", sorted(pages.WEB.glob("*.js")), ids=lambda path: path.stem)
def test_other_modules_have_no_sentences(path: object) -> None:
    """Neither in double quotes nor in backticks."""

    text = re.sub(r"^ *//.*$", "", (pages.WEB / str(path)).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert text.count("\n") <= LINES_MAX
    if str(path).endswith(WORDS):
        return
    sentences = [found[0] for found in LITERAL.finditer(text) if re.match(r"[\"`][A-Z][a-z']+ [a-z]+", found[0])]
    assert [] == sentences


def test_the_page_is_small() -> None:
    """What it loads before a person goes to another section."""

    size = sum((pages.WEB / name).stat().st_size for name in first_page())
    print(size, "bytes")
    assert size < BYTES_MAX
