"""The words that people read: none that was retired, contractions, and no sentence twice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest

from tests.packaging import sentences
from tests.packaging.sentences import Sentence

# What reads as translated, and what a native speaker writes. Case is ignored; a space is any white space.
RETIRED: Mapping[str, str] = {
    r"by (itself|themselves)": "automatically, on its own",
    r"mend(s|ed|ing)?": "fix",
    r"need(s|ed)? you": "needs attention, sign-in needed",
    r"in vain": "failed",
    r"unsaved": "not saved yet",
    r"(signed in|well) since": "connected since",
    r"hand(s|ed|ing)? (it |them |the token |a token )?(on|over)": "send, pass",
    r"from time to time": "periodically",
    r"a (while|moment)": "the time, if it is known",
    r"nobody (has signed in|tells)": "not signed in yet",
    r"what is wrong": "problem",
    r"what happened, and more": "details",
    r"all the same": "anyway",
    r"does not answer": "isn't responding",
    r"did nothing wrong": "leave it out",
    r"at once": "immediately; at the same time",
    r"nothing to do": "no action needed",
    r"(go|goes|went|going) on": "continue",
    r"heals?": "recover",
    r"wants you": "asks you",
    r"sign-in is under way": "in progress",
    r"(did not|didn't) work": "couldn't …",
    r"it worked": "say what works now",
    r"right account": "a different account",
    r"ended this login": "ended this session",
    r"(refreshed|renewed) right now": "is reconnecting",
    r"if nothing helps": "say what happens",
    r"failed so far": "attempts",
    r"fresh tokens?": "new token",
    r"passed over": "skipped",
    r"no workload fits": "no matches",
    r"say so with": "to confirm, add",
    r"let us": "leave it out",
    r"small letters": "lowercase letters",
    r"(begins?|begin) with https": "starts with https",
    r"health of amberlight": "diagnostics",
    r"retry all now": "reconnect all",
    r"copy client settings|copy settings for all": "connect a client",
    r"get no token any more": "lose access",
    r"anew": "again",
    r"by now": "now",
    r"look there": "check it there",
    r"passing reason": "a temporary failure",
    r"can't be asked to": "can't … right now",
    r"(is|are|was|were|been) changed (meanwhile|since)": "has changed since",
    r"so it stays as it is": "so it was left as it is",
}
EXPANDED = (
    r"cannot|can not|(do|does|did|is|are|was|were|has|have|had|could|should|would|will) not"
    r"|there is no|it is (a|an|no|not)"
)
UNITS = r"(\d|\{\}) (s|h|min|d)"  # short forms are for tables and menus

# Where a retired pattern is right, and why.
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    (EXPANDED, "token is not active"): "what Keycloak writes, to be recognised",
}
NOT_PROSE = re.compile(r"^(SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA) |\(\?[:!P<]")
ABOUT_PROGRAMS = (  # API fields, what is only logged and what only developers read say it in full
    "trayapp/api/",
    "trayapp/core/metrics.py",
    "trayapp/osevents/",
    "trayapp/oauthtest/",
)


def shown() -> tuple[Sentence, ...]:
    return (*sentences.in_python(), *sentences.on_the_page(), *sentences.in_documents(), *sentences.in_help())


def matching(pattern: str, of: Iterable[Sentence]) -> list[str]:
    """The places where the pattern stands as whole words, with what stands there."""
    words = re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])".replace(" ", r"\s+"), re.IGNORECASE)
    return [f"{each.place}: {each.text}" for each in of if words.search(each.text) and not excepted(pattern, each)]


def excepted(pattern: str, each: Sentence) -> bool:
    """A listed exception, or no prose: a key, a pattern, a statement of SQL."""
    if NOT_PROSE.search(each.text) or not (" " in each.text or each.text[:1].isupper()):
        return True
    return any(pattern == wrong and fragment in f"{each.file} {each.text}" for wrong, fragment in EXCEPTIONS)


@pytest.mark.parametrize("pattern", RETIRED)
def test_no_retired_word(pattern: str) -> None:
    """Each has a better one in `RETIRED`."""

    assert [] == matching(pattern, shown())


def test_contractions_in_what_people_read() -> None:
    """ "can't", "isn't"; none in the API and in lines of the log."""

    read = [each for each in (*sentences.in_python(), *sentences.on_the_page()) if not each.logged]
    assert [] == matching(EXPANDED, (each for each in read if not each.file.startswith(ABOUT_PROGRAMS)))


def test_units_are_written_out_in_sentences() -> None:
    """ "15 seconds", not "15 s"."""

    read = (*sentences.in_python(), *sentences.on_the_page())
    assert [] == matching(UNITS, (each for each in read if not each.logged and len(each.words) >= 5))


@pytest.mark.parametrize("source", [sentences.in_python, sentences.on_the_page])
def test_no_sentence_twice(source: Callable[[], tuple[Sentence, ...]]) -> None:
    """The app has one place for each sentence, and so has the page."""

    places: dict[str, list[str]] = defaultdict(list)
    for each in source():
        if (
            len(each.words) >= 5
            and " " in each.text
            and not NOT_PROSE.search(each.text)
            and not each.file.startswith("trayapp/oauthtest/")
        ):
            places[" ".join(each.text.split())].append(each.place)
    assert {} == {text: where for text, where in places.items() if len(where) > 1}


PLANTED: Mapping[str, tuple[Callable[[str, str], Iterator[Sentence]], str]] = {
    "python": (
        sentences.of_python,
        '"""By itself: a docstring."""\nwhen = 1\nsaid = (\n    f"It {when} goes "\n    "on."\n)\n',
    ),
    "log line": (sentences.of_python, "\n\n\nlog.info('it goes on')\n"),
    "javascript": (
        sentences.of_javascript,
        "// goes on\nconst r = /'/;\n/* goes on */\nshow(`it ${names('one')} goes on`);\n",
    ),
    "html": (sentences.of_html, "<p>\n<b>x</b>\n\n<i title='it goes on'>y</i></p>"),
    "markdown": (sentences.of_markdown, "# A title\n\nIt works.\n- That it goes\n  on is [said](goes on).\n"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_word_is_found_where_it_stands(kind: str) -> None:
    """In the fourth line of each kind of file; docstrings, comments and the targets of links are left out."""

    read, source = PLANTED[kind]
    found = matching(r"(go|goes|went|going) on", read(source, "file"))
    assert 1 == len(found)
    assert found[0].startswith("file:4: ")


def test_every_kind_of_text_is_read() -> None:
    """What everybody knows to be there."""

    assert any(each.text == "Sign-in needed" for each in sentences.in_python())
    assert any("amberlight" in each.text for each in sentences.in_documents())
    assert any(each.file == "trayapp/web/index.html" for each in sentences.on_the_page())
    assert any(each.file.endswith(".js") for each in sentences.on_the_page())
    assert {"amberlight --help", "amberlight list --help"} <= {each.file for each in sentences.in_help()}
