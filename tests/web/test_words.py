"""The page's texts: all in words.js, each once, none of the retired words; and the page's files are small."""

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
SET_UP = ("setup", "steps", "choosing", "signing", "connecting", "finished")
ON_DEMAND = ("clients", "detail", "dialogs", "catalog", "activity", "settings", "diagnostics", *SET_UP)  # sections


def words() -> str:
    return (pages.WEB / "words.js").read_text(encoding="utf-8")


def table(name: str) -> dict[str, str]:
    """The keys and texts of one table of words.js."""
    found = re.search(rf"export const {name} = {{\n(.*?)\n}};", words(), re.DOTALL)
    assert found
    return dict(re.findall(r'^  (\w+): "((?:[^"\\]|\\.)*)",$', found[1], re.MULTILINE))


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
    parser.feed((pages.WEB / "index.html").read_text(encoding="utf-8"))

    assert {"Amberlight", "⋯"} == {text for text in parser.texts if "JavaScript" not in text and "list" not in text}
    assert parser.named <= table("WORDS").keys() | {"connected", "reconnecting", "others"}


def test_no_text_twice_and_none_retired() -> None:
    """A sentence is written once, so that it is changed once."""

    texts = list(table("WORDS").values())

    assert [] == sorted({text for text in texts if texts.count(text) > 1})
    assert [] == [found[0] for found in LITERAL.finditer(words()) if RETIRED.search(found[0])]


@pytest.mark.parametrize("path", sorted(pages.WEB.glob("*.js")), ids=lambda path: path.stem)
def test_other_modules_have_no_sentences(path: object) -> None:
    """Neither in double quotes nor in backticks."""

    text = re.sub(r"^ *//.*$", "", (pages.WEB / str(path)).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert text.count("\n") <= LINES_MAX
    if str(path).endswith("words.js"):
        return
    sentences = [found[0] for found in LITERAL.finditer(text) if re.match(r"[\"`][A-Z][a-z']+ [a-z]+", found[0])]
    assert [] == sentences


def test_the_page_is_small() -> None:
    """What it loads before a person goes to another section."""

    sizes = {path.name: path.stat().st_size for path in pages.WEB.iterdir() if path.stem not in ON_DEMAND}
    print(sum(sizes.values()), "bytes")
    assert sum(sizes.values()) < BYTES_MAX
