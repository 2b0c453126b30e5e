"""`amberlight catalog`, and `add NAME` without an address."""

from __future__ import annotations

import json

import pytest

from tests.cli.fake_app import FakeApp
from trayapp.catalog.lookup import BY_NAME, SERVERS
from trayapp.cli import main
from trayapp.config.loader import Paths, load

Capture = pytest.CaptureFixture[str]


def test_the_whole_catalog(capsys: Capture) -> None:
    """One line for each server, and how to go on."""

    assert 0 == main(["catalog"])
    lines = capsys.readouterr().out.splitlines()
    assert [server.name for server in SERVERS] == [line.split()[0] for line in lines[: len(SERVERS)]]
    assert "slack" in next(line for line in lines if "needs a client ID" in line and "Slack" in line)
    assert "amberlight add NAME" in lines[-1]


def test_a_few_servers_are_shown_in_full(capsys: Capture) -> None:
    """Address, transport, the vendor's page, and the command that adds it."""

    assert 0 == main(["catalog", "payments"])
    out = capsys.readouterr().out
    assert BY_NAME["stripe"].url in out
    assert BY_NAME["stripe"].source in out
    assert "amberlight add stripe" in out
    assert "HTTP with SSE" in out  # Square
    assert "notion" not in out


def test_an_exact_name_is_shown_in_full(capsys: Capture) -> None:
    """Although other names hold it, too; those follow as lines."""

    assert 0 == main(["catalog", "Cloudflare"])
    out = capsys.readouterr().out
    assert out.startswith("cloudflare  Cloudflare")
    assert 1 == out.count("address")
    assert "\nAlso:\ncloudflare-ai-gateway " in out


def test_the_catalog_as_json(capsys: Capture) -> None:
    """The same keys for each; an empty list where nothing fits."""

    assert 0 == main(["catalog", "slack", "--format", "json"])
    (slack,) = json.loads(capsys.readouterr().out)
    assert ("slack", True, "http") == (slack["name"], slack["needs_client_id"], slack["transport"])
    assert 0 == main(["catalog", "no", "such", "thing", "--format", "json"])
    assert [] == json.loads(capsys.readouterr().out)


def test_nothing_fits(capsys: Capture) -> None:
    """It is said, and how any other server is added; what was typed reaches no terminal with control characters."""

    assert 0 == main(["catalog", "no\x1bsuch"])
    out = capsys.readouterr().out
    assert "amberlight add NAME URL" in out
    assert "\x1b" not in out


# --- add -------------------------------------------------------------------------------------------------------------


def test_add_by_name(paths: Paths, capsys: Capture) -> None:
    """The catalog's address is written, and nothing else of it: the rest is asked of the server."""

    assert 0 == main(["add", "notion"])
    assert "https://mcp.notion.com/mcp" in capsys.readouterr().out
    assert '[workloads.notion]\nurl = "https://mcp.notion.com/mcp"' == paths.config_file.read_text().strip()


def test_add_by_name_says_what_to_know(paths: Paths, capsys: Capture) -> None:
    """A note comes before the entry is written."""

    assert 0 == main(["add", "mixpanel"])
    out = capsys.readouterr().out
    assert -1 < out.index("mcp-eu.mixpanel.com") < out.index("Added mixpanel")


def test_an_address_wins(paths: Paths, capsys: Capture) -> None:
    """`add NAME URL` takes the address that was given, also for a name of the catalog."""

    assert 0 == main(["add", "slack", "https://slack.example/mcp"])
    assert "https://slack.example/mcp" == load(paths, {}).workloads["slack"].url
    assert "Slack" not in capsys.readouterr().err


def test_a_client_id_is_asked_for_first(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """Where the server registers no clients nothing is written and the app is not bothered; with an id it is added."""

    assert 2 == main(["add", "slack"])
    err = capsys.readouterr().err
    assert "client ID of your own" in err
    assert "https://api.slack.com/apps" in err
    assert "amberlight add slack --client-id ID" in err
    assert "A workspace admin has to approve it" in err
    assert not paths.config_file.exists()
    assert [] == app.requests

    app.replies |= {
        "POST /reload": (200, {"ok": True, "errors": [], "warnings": []}),
        "POST /workloads": (201, {"name": "slack"}),
    }
    assert 0 == main(["add", "slack", "--client-id", "c", "--no-sign-in"])
    (body,) = app.bodies("POST /workloads")
    assert ("https://mcp.slack.com/mcp", "c") == (body["url"], body["client_id"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("notoin", "Did you mean notion?"),
        ("linear-work", "amberlight add linear-work https://mcp.linear.app/mcp"),
        ("zzzzzz", "amberlight add zzzzzz URL"),
    ],
)
def test_add_an_unknown_name(paths: Paths, capsys: Capture, name: str, words: str) -> None:
    """Names near it are offered, and how to give an address; nothing is written."""

    assert 2 == main(["add", name])
    err = capsys.readouterr().err
    assert words in err
    assert "amberlight catalog" in err
    assert not paths.config_file.exists()
