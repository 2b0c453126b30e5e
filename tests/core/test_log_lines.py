"""The log's entries, read backwards."""

from __future__ import annotations

from trayapp.core.log_lines import TEXT_MAX, LogEntry, LogQuery, newest_entries

LINES = [
    "    of an entry whose beginning is in another file",
    "2026-01-02T03:04:05Z INFO trayapp.engine: github is running (ok)",
    "2026-01-02T03:04:06Z DEBUG trayapp.oauth: asked github-two",
    "2026-01-02T03:04:07Z ERROR trayapp.engine: it failed",
    "Traceback (most recent call last):",
    "ValueError: github",
    "2026-13-45T03:04:07Z INFO no.such: day",
    "2026-01-02T03:04:08Z CRITICAL asyncio: the end",
]
AT = 1767323045.0


def entries(**more: object) -> tuple[list[LogEntry], bool]:
    return newest_entries(reversed(LINES), LogQuery(**more))  # type: ignore[arg-type]


def test_newest_first() -> None:
    """A traceback belongs to its entry, and so does a line that is no beginning."""

    found, more = entries()

    assert not more
    assert ["the end", "it failed", "asked github-two", "github is running (ok)"] == [
        each.text.split("\n")[0] for each in found
    ]
    assert LogEntry(AT + 3, "error", "asyncio", "the end") == found[0]
    assert ["Traceback (most recent call last):", "ValueError: github", LINES[6]] == found[1].text.split("\n")[1:]


def test_what_is_wanted() -> None:
    """By level, workload, time and number."""

    assert ["the end", "it failed"] == [each.text.split("\n")[0] for each in entries(level="warning")[0]]
    assert [AT + 2, AT] == [each.at for each in entries(workload="github")[0]]
    assert [AT + 3, AT + 2] == [each.at for each in entries(since=AT + 2)[0]]
    found, more = entries(limit=2)
    assert (2, True) == (len(found), more)
    assert (4, False) == (len(entries(limit=4)[0]), entries(limit=4)[1])


def test_a_long_entry_is_cut() -> None:
    """The page shows all of it."""

    found, _ = newest_entries([LINES[1] + "x" * 9000], LogQuery())

    assert TEXT_MAX == len(found[0].text)


def test_a_name_that_is_also_another_programs() -> None:
    """The lines about its workload are its own, and the lines about ours are ours."""

    lines = [
        "2026-01-02T03:04:05Z INFO trayapp: github is running (ok)",
        "2026-01-02T03:04:06Z INFO trayapp: toolhive/github is auth_retrying",
        "2026-01-02T03:04:07Z INFO trayapp: asked for /w/github",
    ]

    def found(name: str) -> list[str]:
        return [each.text.split()[0] for each in newest_entries(reversed(lines), LogQuery(workload=name))[0]]

    assert ["asked", "github"] == found("github")
    assert ["toolhive/github"] == found("toolhive/github")
