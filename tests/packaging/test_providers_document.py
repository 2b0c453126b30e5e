"""docs/providers.md says what the provider table says: one line per row, made from the code and from the replayed answers.

`AMBERLIGHT_WRITE_PROVIDERS=1 pytest tests/packaging/test_providers_document.py` writes it.
"""

from __future__ import annotations

import os
import re

import pytest

from tests import ROOT
from tests.oauth.provider_answers import CASES, STANDARD
from trayapp.core.providers import PROVIDERS, Provider
from trayapp.core.quirks import QUIRKS, Quirk

DOCUMENT = ROOT / "docs" / "providers.md"
BEGIN = "<!-- providers: made by tests/packaging/test_providers_document.py -->\n"
END = "<!-- end of providers -->"
PLAIN = "<!-- standard: made by tests/packaging/test_providers_document.py -->\n"
PLAIN_END = "<!-- end of standard -->"
REAL, DOCUMENTED = "real shape replayed", "documentation only"


def recognised(row: Provider) -> str:
    return ", ".join(row.domains) if row.domains else "path of the token endpoint, on any host"


def grace(row: Provider) -> str:
    match row.grace:
        case None:
            return ""
        case 0.0:
            return "no grace for a rotated refresh token"
        case seconds:
            return f"rotated refresh tokens work for {seconds:g} s"


def differences(row: Provider) -> list[str]:
    """What is different there, one phrase each."""
    asked = [f"`{name}={value}`" for name, value in row.authorization_parameters.items()]
    asked += ["`audience`"] if row.audience else []
    known = [
        grace(row),
        f"it gives a refresh token only with the scope `{row.offline_scope}`" if row.offline_scope else "",
        f"the sign-in page wants {', '.join(asked)}" if asked else "",
        "`resource` is refused" if row.no_resource else "",
        "a refresh names the granted scopes" if row.names_scope_at_refresh else "",
        "the client secret goes into the body" if row.secret_in_body else "",
        f"scopes are separated by `{row.separator}`" if row.separator != " " else "",
        *(words_of(quirk) for quirk in QUIRKS if row.name in quirk.providers),
    ]
    return [phrase for phrase in known if phrase] or ["only its refusals are explained"]


def words_of(quirk: Quirk) -> str:
    """A row of `QUIRKS`, as a phrase."""
    statuses = "a 200" if quirk.statuses == (200,) else "a refusal"
    said = ", ".join(f"`{value}`" for value in sorted(quirk.values))
    about = f" (about “{quirk.if_description_has}”)" if quirk.if_description_has else ""
    return f"{said} as `{quirk.field}` of {statuses}{about} means `{quirk.means}`"


def link(address: str) -> str:
    address = address.partition(" ")[0]
    short = re.sub(r"https://(?:www\.)?", "", address)
    name = short if len(short) <= 48 else f"{short[:45]}…"
    return f"[{name}]({address})"


def table() -> str:
    """The table of all rows, in Markdown."""
    lines = ["| provider | recognised by | what differs | evidence | sources |", "| --- | --- | --- | --- | --- |"]
    for row in PROVIDERS:
        evidence = REAL if CASES[row.name].real else DOCUMENTED
        cells = (f"`{row.name}`", recognised(row), "; ".join(differences(row)), evidence)
        lines.append(f"| {' | '.join(cells)} | {', '.join(link(source) for source in row.sources)} |")
    return "\n".join(lines) + "\n"


def standard() -> str:
    """The servers of the catalog that were looked at and need no row."""
    lines = ["| provider | its refusal | source |", "| --- | --- | --- |"]
    for name, _, status, body, source in STANDARD:
        assert isinstance(body, dict)
        lines.append(f"| {name} | {status} `{body['error']}` | {link(source)} |")
    return "\n".join(lines) + "\n"


def between(text: str, begin: str, end: str) -> tuple[str, str, str]:
    head, _, rest = text.partition(begin)
    middle, _, tail = rest.partition(end)
    return head + begin, middle, end + tail


@pytest.mark.parametrize(("begin", "end", "make"), [(BEGIN, END, table), (PLAIN, PLAIN_END, standard)])
def test_the_document_and_the_code_say_the_same(begin: str, end: str, make: object) -> None:
    """Every row, what differs there, how well it is known, and where from."""

    assert callable(make)
    wanted = make()
    head, found, tail = between(DOCUMENT.read_text("utf-8"), begin, end)
    if os.environ.get("AMBERLIGHT_WRITE_PROVIDERS"):
        DOCUMENT.write_text(head + wanted + tail, "utf-8")
        return
    assert wanted == found


def test_every_claim_of_a_real_answer_has_a_published_one() -> None:
    """Documentation alone never counts as a real answer: its row cites an issue, a log or a report."""

    published = re.compile(r"https://(?:github\.com/[^/]+/[^/]+/(?:issues|pull)/\d+|nango\.dev/blog/)")
    for row in PROVIDERS:
        if CASES[row.name].real:
            assert any(published.match(source) for source in row.sources), row.name
