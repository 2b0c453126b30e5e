"""`amberlight catalog`, and `add NAME` without an address."""

from __future__ import annotations

import json
import re

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


# --- accounts --------------------------------------------------------------------------------------------------------


def test_an_account_is_added_by_its_providers_name(paths: Paths, capsys: Capture) -> None:
    """With a client ID of one's own; without one, it says where to get it, and nothing is written."""

    assert 2 == main(["add", "google-mail"])
    err = capsys.readouterr().err
    assert "at console.cloud.google.com" in err
    assert "Then: amberlight add google-mail --client-id ID --client-secret\n" in err  # any port will do
    assert "redirect address http" not in err
    assert not paths.config_file.exists()

    assert 0 == main(["add", "google-mail", "--client-id", "mine"])
    spec = load(paths, {}).workloads["google-mail"]
    assert ("account", "", "mine") == (spec.kind, spec.url, spec.client_id)
    assert "https://accounts.google.com" == spec.issuer
    assert "https://mail.google.com/" in spec.scopes


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("google-mail", "--client-id ID --client-secret"),
        ("microsoft-mail", "--client-id ID"),
        ("fastmail", "--client-id ID --client-secret   (without --client-secret if it has none)"),
        ("notion", ""),
    ],
)
def test_a_secret_is_asked_for_where_the_vendor_gives_one_out(
    name: str, options: str, paths: Paths, capsys: Capture
) -> None:
    """The command to add it is complete, in the catalog and where the client ID is missing."""

    assert 0 == main(["catalog", name])
    assert (
        f"amberlight add {name} {options}".rstrip() == re.findall(r"^  add it +(.*)", capsys.readouterr().out, re.M)[0]
    )
    if options:
        assert 2 == main(["add", name])
        said = re.findall(r"^Then: (.*)", capsys.readouterr().err, re.M)[0]
        assert f"amberlight add {name} {options}" == said.replace(" --redirect-port 8400", "")


def test_an_account_may_have_a_name_of_its_own(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """Options go before what the catalog says."""

    assert 2 == main(["add", "work", "--account", "fastmail"])
    err = capsys.readouterr().err
    assert "amberlight add work --account fastmail --client-id ID --client-secret   (without" in err
    assert "with the redirect address http://localhost/callback\n" in err
    app.replies |= {
        "POST /reload": (200, {"ok": True, "errors": [], "warnings": []}),
        "POST /workloads": (201, {"name": "work"}),
    }
    words = [
        "add",
        "work",
        "--account",
        "microsoft-mail",
        "--client-id",
        "mine",
        "--scope",
        "offline_access",
        "--device",
    ]
    assert 0 == main([*words, "--no-sign-in"])
    (body,) = app.bodies("POST /workloads")
    assert ("account", "mine", "device") == (body["kind"], body["client_id"], body["flow"])
    assert ["offline_access"] == body["scopes"]
    assert "https://login.microsoftonline.com/common/oauth2/v2.0/token" == body["token_endpoint"]
    assert "url" not in body


def test_an_account_of_any_provider(paths: Paths, capsys: Capture) -> None:
    """By its issuer, with the git servers that its token is for."""

    assert 2 == main(["add", "code", "--account", "openid"])
    assert "--issuer" in capsys.readouterr().err
    words = ["add", "code", "--account", "openid", "--issuer", "https://login.example.com", "--host", "git.example.com"]
    assert 0 == main(words)
    spec = load(paths, {}).workloads["code"]
    assert ("account", "https://login.example.com", ("git.example.com",)) == (spec.kind, spec.issuer, spec.hosts)
    assert 0 == main(["edit", "code", "--host", "git.example.org", "--host", "git.example.net:8443"])
    assert ("git.example.org", "git.example.net:8443") == load(paths, {}).workloads["code"].hosts


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["x", "https://mcp.example.com", "--account", "openid"], "an account has no URL"),
        (["x", "https://mcp.example.com", "--host", "git.example.com"], "--host is for accounts"),
        (
            ["x", "--account", "openid", "--issuer", "https://a.example", "--host", "https://git"],
            "--host: must be a list",
        ),
        (["x", "--account", "gmail"], "invalid choice"),
    ],
)
def test_an_account_is_refused(paths: Paths, capsys: Capture, words: list[str], sentence: str) -> None:
    assert 2 == main(["add", *words])
    assert sentence in capsys.readouterr().err
    assert not paths.config_file.exists()


def test_the_catalog_shows_accounts(paths: Paths, capsys: Capture) -> None:
    """With the sign-in server and the scopes in place of an address."""

    assert 0 == main(["catalog", "fastmail"])
    out = capsys.readouterr().out
    assert "account at  https://api.fastmail.com/oauth/refresh" in out
    assert "https://www.fastmail.com/dev/protocol-imap" in out
    assert 0 == main(["catalog"])


def test_no_client_is_connected_to_an_account(paths: Paths, capsys: Capture) -> None:
    """`connect` says why; without a name, it connects the others."""

    assert 0 == main(["add", "fastmail", "--client-id", "mine"])
    capsys.readouterr()
    assert 1 == main(["connect", "cursor", "fastmail", "--stdio"])
    assert "fastmail is an account: it has no address to connect to." in capsys.readouterr().err
    assert 1 == main(["connect", "cursor", "--stdio"])
    assert "there are no workloads yet" in capsys.readouterr().err
    assert 0 == main(["add", "notion"])
    capsys.readouterr()
    assert 0 == main(["connect", "cursor", "--stdio"])
    out = capsys.readouterr().out
    assert "notion" in out
    assert "fastmail" not in out
