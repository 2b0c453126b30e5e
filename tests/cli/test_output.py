"""The exact output of the commands."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.fake_app import row
from trayapp.cli.columns import cut, cut_start, width, wrap
from trayapp.cli.output import (
    COLOURS,
    GLYPHS,
    Style,
    checks_text,
    clean,
    duration_text,
    duration_words,
    parse_time,
    time_until,
)
from trayapp.cli.workload_text import error_text, host_of, status_lines, table
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.snapshot import Detail, Status

pytestmark = pytest.mark.usefixtures("utc")

NOW = 1767323100.0  # 2026-01-02T03:05:00Z
ROWS = [
    row("files", "running"),
    row("github", "auth_retrying", "retrying", next_attempt_at="2026-01-02T03:12:00Z", since="2026-01-02T01:00:00Z"),
    row("jira", "unauthenticated", "refused", since="2025-12-31T00:00:00Z"),
    row("new", "unauthenticated", "never_signed_in", signing_in=True),
    row("slow", "running", "offline", usable=False),
    row("wiki", "stopped", "paused"),
    row("zebra", "sideways", "upside_down"),
]
PLAIN = """\
NAME    STATE           HOST                FOR        DETAIL
files   Connected       files.example.com   55 s
github  Reconnecting    github.example.com  2 h 5 min  next attempt in 7 min
jira    Sign-in needed  jira.example.com    2 d 3 h
new     Not signed in   new.example.com     55 s       signing in
slow    Offline         slow.example.com    55 s
wiki    Paused          wiki.example.com    55 s
zebra   sideways        zebra.example.com   55 s       upside_down"""
NARROW = """\
NAME    STATE
files   Connected
github  Reconnecting
    next attempt in 7
    min
jira    Sign-in needed
new     Not signed in
    signing in
slow    Offline
wiki    Paused
zebra   sideways
    upside_down"""


@given(st.text(), st.integers(2, 40))
def test_text_is_wrapped_and_cut_to_its_columns(text: str, columns: int) -> None:
    """No line is wider, and no character is lost but the spaces between words."""

    lines = wrap(text, columns)

    assert all(width(line) <= columns for line in lines)
    assert "".join(text.split()) == "".join("".join(lines).split())
    assert width(cut(text, columns)) <= columns >= width(cut_start(text, columns))


def test_plain_table() -> None:
    """Without a terminal the list is aligned plain text: no glyph, no colour, nothing cut."""

    assert PLAIN == table(ROWS, Style(), NOW)


def test_table_on_a_terminal() -> None:
    """On a terminal every status has its glyph and its colour; amber is 214, also for `running` without a token."""

    text = table(ROWS, Style(glyphs=True, colours=True), NOW)
    signs = [line.split("\x1b[38;5;")[1].split()[0] for line in text.splitlines()[1:]]

    assert ["35m✔", "214m↻", "167m⚠", "33m○", "214m↻", "245m■", "245m?"] == signs
    assert text.count("\x1b[0m") == len(ROWS)


def test_no_colour() -> None:
    """Without colours the glyphs and words still tell everything apart."""

    text = table(ROWS, Style(glyphs=True), NOW)

    assert "\x1b" not in text
    assert "↻ Reconnecting" in text
    assert "⚠ Sign-in needed" in text
    assert "○ Not signed in" in text


def test_a_narrow_terminal_moves_details_below() -> None:
    """Each under its workload; the columns that matter least are left out, and nothing that matters is cut."""

    assert NARROW == table(ROWS, Style(width=22), NOW)
    assert PLAIN == table(ROWS, Style(width=80), NOW)


HARD = [
    *ROWS,
    row(
        "a" * 63,
        "running",
        "permission_needed",
        missing_scopes=["https://x.example/" + "lesen " * 20, "読み取り専用" * 9],
    ),
    {**row("idn"), "url": "https://" + "例え" * 20 + ".example:8443/mcp"},
    {**row("odd"), "url": "https://[bad"},
]


@pytest.mark.parametrize("glyphs", [True, False])
@pytest.mark.parametrize("rows", [ROWS, HARD, [row("a", "error", "config_error")], [row("b" * 63)]])
def test_no_line_is_wider_than_the_terminal(rows: list[dict[str, Any]], glyphs: bool) -> None:
    """Whatever the width and the characters; names and states show everywhere, hosts at 80 columns."""

    for columns in range(16, 130):
        lines = table(rows, Style(glyphs, False, columns), NOW).splitlines()
        assert columns >= max(map(width, lines)), columns
        assert len(rows) < len(lines)
    text = table(rows, Style(glyphs, False, 80), NOW)
    assert all(cut_start(host_of(row), 14)[1:] in text for row in rows)


def test_an_account_shows_whose_it_is() -> None:
    """It has no host; if nobody said whose it is, that it's an account."""

    assert "ada@example.com" == host_of({"kind": "account", "url": "", "auth": {"account": "ada@example.com"}})
    assert "account" == host_of({"kind": "account", "url": "", "auth": {"account": None}})


def test_a_host_keeps_its_end() -> None:
    """The part that says whose it is."""

    one = {**row("x"), "url": "https://very-long-tenant-name-of-somebody.mcp.example.com/mcp"}
    assert "…ant-name-of-somebody.mcp.example.com" in table([one], Style(width=54), NOW)


@pytest.mark.parametrize("columns", [30, 40, 80])
def test_a_status_page_fits_too(columns: int) -> None:
    """Its sentences are wrapped under themselves."""

    one = row("github", "auth_retrying", "retrying")
    one["status_context"] = "Couldn't refresh the token yet (a firewall answered). " * 3

    lines = status_lines(one, Style(width=columns), NOW, verbose=True).splitlines()
    assert columns >= max(map(len, lines))
    assert lines[-1].startswith(" " * 10) or "Events" in lines[-1] or ":" in lines[-1]


def test_every_glyph_and_colour_is_known() -> None:
    """Whatever the core can draw, the terminal can."""

    assert set(Glyph) == set(GLYPHS)
    assert set(Colour) == set(COLOURS)


@given(st.sampled_from([*Status, "odd"]), st.sampled_from([*Detail, "odd", None]), st.booleans())
def test_any_state_makes_a_line(status: str, detail: str | None, signing_in: bool) -> None:
    """Every pair of status and detail, known or not, is one line of the table and a page of `status`."""

    one = row("x", status, signing_in=signing_in)
    one["auth"]["detail"] = detail

    assert 2 == len(table([one], Style(True, True), NOW).splitlines())
    assert status_lines(one, Style(), NOW, verbose=True).startswith("Name:            x\nState:           ")


def test_status_page() -> None:
    """`status` prints what is known in plain lines, and leaves out what is not."""

    one = row(
        "github",
        "auth_retrying",
        "retrying",
        next_attempt_at="2026-01-02T03:12:00Z",
        last_error={"kind": "http", "http_status": 403, "code": "", "summary": "A firewall answered"},
    )
    one["status_context"] = "A firewall answered. Amberlight retries automatically."

    assert status_lines(one, Style(), NOW, verbose=False) == (
        "Name:         github\n"
        "State:        Reconnecting\n"
        "Detail:       next attempt in 7 min\n"
        "URL:          https://github.example.com/mcp\n"
        "Since:        2026-01-02 03:04 (55 s ago)\n"
        "Next attempt: 2026-01-02 03:12 (in 7 min)\n"
        "Last error:   A firewall answered (HTTP 403)\n"
        "Details:      A firewall answered. Amberlight retries automatically."
    )


def test_status_says_where_the_token_endpoint_redirects() -> None:
    """A login that depends on a redirect is nothing to worry about, and nothing to hide."""

    one = row("notes", "running", redirected_to="https://as.test/oauth/token/")

    assert "Redirected:   token requests go to https://as.test/oauth/token/" in status_lines(
        one, Style(), NOW, verbose=False
    )


@pytest.mark.parametrize(("bound", "shown"), [(True, ["Token:        bound to a key (DPoP)"]), (False, []), (None, [])])
def test_status_says_that_a_token_is_bound(bound: bool | None, shown: list[str]) -> None:
    """It works nowhere else, so people who wonder why `token` refuses see it. An app of an earlier version doesn't say."""

    one = row("notes", "running", bound=bound)
    lines = status_lines(one, Style(), NOW, verbose=False).splitlines()
    assert shown == [line for line in lines if line.startswith("Token:")]


def test_a_refusal_that_was_checked_again_says_when() -> None:
    """In the list and in the status; when it was refused, too, as the last error may be about the check (M7)."""

    times = {"refused_at": "2026-01-02T02:05:00Z", "rechecked_at": "2026-01-02T03:00:00Z"}
    one = row("notes", "unauthenticated", "refused", last_error={"kind": "dns", "summary": "No such host"}, **times)

    assert "checked again 5 min ago" in table([one], Style(width=200), NOW)
    text = status_lines(one, Style(), NOW, verbose=False)
    assert "Refused:      2026-01-02 02:05 (1 h ago)" in text
    assert "Checked:      2026-01-02 03:00 (5 min ago)" in text
    assert "Last error:   No such host" in text
    one["status"] = "stopped"
    assert "checked again" not in table([one], Style(width=200), NOW)


def test_verbose_status_page() -> None:
    """`--verbose` adds the counters and times of the `auth` object."""

    one = row(attempts=3, last_outcome="server_busy", last_trigger="tick", retrying_since="2026-01-02T03:00:00Z")

    text = status_lines(one, Style(), NOW, verbose=True)

    assert "Failed attempts: 3\nLast outcome:    server_busy\nLast trigger:    tick\n" in text
    assert "Retrying since:  2026-01-02 03:00 (5 min ago)" in text


def test_verbose_status_names_who_tells_of_the_network() -> None:
    """The live sources of events, with `--verbose` only."""

    one = {**row(), "sources": ["rtnetlink", "logind", "polling"]}

    assert "Events from:     rtnetlink, logind, polling" in status_lines(one, Style(), NOW, verbose=True)
    assert "rtnetlink" not in status_lines(one, Style(), NOW, verbose=False)
    assert "Events from" not in status_lines(row(), Style(), NOW, verbose=True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (4200, "1 h 10 min"),
        (93600, "1 d 2 h"),
        (172800, "2 d"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    """A length of time is told in at most two units."""

    assert text == duration_text(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1 second"), (30, "30 seconds"), (3660, "1 hour 1 minute"), (172800, "2 days")]
)
def test_spans_in_sentences(seconds: float, text: str) -> None:
    """With whole words."""

    assert text == duration_words(seconds)


def test_times() -> None:
    """RFC 3339 times are read; anything else is no time."""

    assert (
        NOW
        == parse_time("2026-01-02T03:05:00Z")
        == parse_time("2026-01-02T04:05:00+01:00")
        == parse_time("2026-01-02T03:05:00")
    )
    assert [None] * 4 == [parse_time(value) for value in ("soon", "", None, 17)]
    assert "now" == time_until("2026-01-02T03:04:59Z", NOW)


@given(st.text())
def test_no_control_character_reaches_a_terminal(text: str) -> None:
    """Names, addresses and sentences from elsewhere cannot steer the terminal or break a line."""

    one = row(text)
    one["url"] = one["status"] = one["status_context"] = text
    one["auth"]["detail"] = text

    assert clean(text).isprintable() or not clean(text)
    assert 2 == len(table([one], Style(True, False), NOW).split("\n"))
    assert "\x1b" not in status_lines(one, Style(), NOW, verbose=True)


def test_checks() -> None:
    """Each check is a line with its sign; what to do stands below it."""

    checks = [
        {"name": "keyring", "state": "ok", "text": "There.", "help": ""},
        {"name": "tray host", "state": "warning", "text": "None.", "help": "Get one."},
        {"name": "app", "state": "problem", "text": "Gone.", "help": "Start it."},
    ]

    assert checks_text(checks, Style(glyphs=True)) == (
        "✔  keyring    There.\n⚠  tray host  None.\n              → Get one.\n✖  app        Gone.\n              → Start it."
    )
    assert checks_text(checks, Style()).startswith("ok       keyring    There.\nwarning  tray host  None.\n")
    assert "\x1b[38;5;214m⚠" in checks_text(checks, Style(True, True))


class Terminal(io.StringIO):
    encoding = "UTF-8"

    def isatty(self) -> bool:
        return True


def test_styles() -> None:
    """A terminal has glyphs and colours unless the environment says no; a file or pipe has neither."""

    assert (True, True) == (Style.of(Terminal(), {}).glyphs, Style.of(Terminal(), {}).colours)
    assert not Style.of(Terminal(), {"NO_COLOR": "1"}).colours
    assert not Style.of(Terminal(), {"TERM": "dumb"}).colours
    assert Style() == Style.of(io.StringIO(), {})


def test_what_a_login_lacks_is_in_the_list() -> None:
    """Green, with the words: what a request needed, and that there is no refresh token. Times are those of this machine."""

    rows = [
        row("year", "running", renewable=False, login_ends_at="2027-01-10T12:00:00.000Z"),
        row("endless", "running", renewable=False),
        row("far", "running", renewable=False, login_ends_at="9999-12-31T23:59:59.000Z"),
        row("over", "unauthenticated", "ended", renewable=False, login_ends_at="2025-01-10T12:00:00.000Z"),
        row("scope", "running", "permission_needed", missing_scopes=["write", "admin\x1b[31m"]),
        row("factor", "running", "stronger_sign_in"),
    ]
    text = table(rows, Style(glyphs=True, colours=True), NOW)
    signs = [line.split("\x1b[38;5;")[1].split()[0] for line in text.splitlines()[1:]]

    assert ["35m✔", "35m✔", "35m✔", "167m⚠", "35m✔", "35m✔"] == signs
    for words in (
        "can't be renewed, ends on 2027-01-10",
        "can't be renewed, no known end",
        "can't be renewed",
        "Sign-in needed",
        "needs additional permission: write, admin",
        "needs a stronger sign-in",
    ):
        assert words in text
    assert "\x1b[31m" not in text


def test_the_status_of_a_login_that_cannot_be_renewed() -> None:
    """When it ends, and the app's own sentence."""

    shown = row("year", "running", renewable=False, login_ends_at="2026-01-04T03:05:00.000Z")
    text = status_lines({**shown, "status_context": "It ends."}, Style(), NOW, verbose=False)

    assert "Login ends:" in text
    assert "(in 2 d)" in text
    assert "It ends." in text


def test_the_status_says_which_account_is_signed_in() -> None:
    """On a line of its own, which a terminal can show; no line without an account."""

    known = row("one", "running", account="alice@example.com\x1b[31m")
    text = status_lines(known, Style(), NOW, verbose=False)

    (line,) = (line for line in text.splitlines() if "Account" in line)
    assert ["Account:", "alice@example.com", "[31m"] == line.split()
    for nobody in (row("one", "running"), row("one", "running", account=None)):
        assert "Account" not in status_lines(nobody, Style(), NOW, verbose=True)


@pytest.mark.parametrize(
    ("summary", "status", "code", "text"),
    [
        ("The server ended this login.", 400, "invalid_grant", "The server ended this login (HTTP 400, invalid_grant)"),
        ("A firewall blocked the request (403).", 403, "", "A firewall blocked the request (403)."),
        ("No such host", None, "", "No such host"),
    ],
)
def test_status_and_code_follow_an_error_once(summary: str, status: int | None, code: str, text: str) -> None:
    """Within its sentence, and only if it doesn't name them."""

    assert text == error_text({"summary": summary, "http_status": status, "code": code})
