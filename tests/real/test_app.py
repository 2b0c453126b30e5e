"""The whole program with nothing simulated: oidc-provider, gnome-keyring, Chromium, and a bad network in between.

One long story in order, because each part needs what the one before it left: a sign-in by command, an outage of every
kind, a lost answer, ten rotations, a revocation, and a restart.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.desktop.desk import Desk
from tests.desktop.screen import wait_for
from tests.real import browser
from tests.real.app import HURRIED, App
from tests.real.form_sign_in import sign_in_by_forms
from tests.real.idp import Idp
from tests.real.relay import Fault, Relay

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

# The rules are the product's; only their waits are shortened, so that a day's outage takes seconds.
CONFIG = """
[settings]
port = 0
initial_retry_interval = "300ms"
max_retry_interval = "600ms"
max_tries = 3
manual_spacing = "10ms"
tick_interval = "1s"
again = ["0s", "300ms", "600ms"]
attempt_limit = "2s"
usable_margin = "4s"
automatic_attempts = 500

[workloads.real]
url = "http://127.0.0.1:9/mcp"
issuer = "{issuer}"
client_id = "{client_id}"
scopes = ["openid"]
"""
SHORT_TTL = 8.0  # s; less the margin: usable for four, and due after six

STORED = """
import contextlib, secretstorage
with contextlib.closing(secretstorage.dbus_init()) as connection:
    for item in secretstorage.get_default_collection(connection).get_all_items():
        if "amberlight/" in repr(item.get_attributes()):
            print(item.get_secret().decode())
"""


@pytest.fixture
def app(relay: Relay, idp: Idp, desk: Desk, titles: Path, chromium: None, tmp_path: Path) -> Iterator[App]:
    """The program, running, with one workload that was never signed in."""
    app = App({**desk.env, "BROWSER": browser.browser_command(titles)}, tmp_path)
    app.configure(CONFIG.format(issuer=idp.issuer, client_id=idp.client_id))
    app.program = ("-c", HURRIED)
    with app:
        app.until_up()
        yield app


def test_a_bad_week_with_a_real_server(app: App, desk: Desk, relay: Relay, idp: Idp, titles: Path) -> None:
    """Sign-in, four kinds of outage, ten rotations, revocation and restart: red only when the server said no."""

    never = app.until(lambda s: s["status"] != "starting", "settled")
    assert ("unauthenticated", "never_signed_in") == word(never)
    signs_in(app, titles)
    assert bearer(app, idp) == "alice"
    heals_by_itself(app, relay, idp)
    loses_an_answer(app, relay)
    signs_in(app, titles)
    for _ in range(10):
        refreshes(app, idp)
    is_signed_out_by_the_server(app, idp)
    signs_in(app, titles)
    restarts_without_a_browser(app, idp)
    assert visits(titles) == (3, 3)
    keeps_its_secrets(app, relay, desk.root, titles)


def word(status: dict[str, Any]) -> tuple[str, str]:
    return status["status"], status["auth"]["detail"]


def visits(titles: Path) -> tuple[int, int]:
    """How often a browser was opened, and how often it got to the page that says "signed in"."""
    lines = titles.read_text().splitlines() if titles.exists() else []
    return lines.count("(visit)"), lines.count("(signed in)")


def signs_in(app: App, titles: Path) -> None:
    """One command, one browser that does the rest, and the workload runs."""
    opened, _ = visits(titles)
    app.run("reauthorize", app.name)
    found = app.until(lambda s: s["status"] == "running" and not s["auth"]["signing_in"], "running")
    assert word(found) == ("running", "ok")
    assert found["health"] == "healthy"
    assert found["status_context"] == ""
    wait_for(lambda: visits(titles) == (opened + 1, opened + 1), "the end of the browser's visit")


def bearer(app: App, idp: Idp) -> str:
    """Whom the server takes the bearer of the program's access token for."""
    token = app.run("token", app.name, "--min-validity", "1").strip()
    answer = httpx2.get(f"{idp.issuer}/me", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    return str(answer.json().get("sub"))


def refreshes(app: App, idp: Idp) -> None:
    """*Retry now* forces one refresh, though the token is good for half a minute."""
    before, counted = app.status()["auth"]["last_refreshed_at"], idp.counts().refreshed
    app.run("retry", app.name)
    found = app.until(lambda s: s["auth"]["last_refreshed_at"] != before, "refreshed")
    assert word(found) == ("running", "ok")
    assert idp.counts().refreshed == counted + 1


def heals_by_itself(app: App, relay: Relay, idp: Idp) -> None:
    """Firewall, 503, reset and hang: amber with the reason, then green with nobody's help and the same login."""
    idp.set_access_ttl(SHORT_TTL)
    refreshes(app, idp)
    granted = idp.counts()
    for fault, kind, status in (
        (Fault.FIREWALL, "http", 403),
        (Fault.BUSY, "http", 503),
        (Fault.RESET, "reset", None),
        (Fault.HANG, "timeout", None),
    ):
        relay.mode = fault
        found = app.until(
            lambda s, kind=kind, status=status: (  # type: ignore[misc]
                s["status"] == "auth_retrying"
                and (s["auth"]["last_error"]["kind"], s["auth"]["last_error"]["http_status"]) == (kind, status)
            ),
            f"amber by {fault}",
        )
        assert found["health"] == "degraded"
        assert found["status_context"]
        assert app.command("status", app.name).returncode == 5
    assert idp.counts() == granted  # the server saw none of it
    idp.set_access_ttl(30)
    relay.mode = None
    found = app.until(lambda s: s["status"] == "running", "healed")
    assert word(found) == ("running", "ok")
    assert bearer(app, idp) == "alice"
    assert idp.counts().refused == granted.refused
    assert relay.secrets.leaks(app.command_lines()) == 0


def loses_an_answer(app: App, relay: Relay) -> None:
    """The server rotated and its answer was lost: this server gives no grace, so it is red at once, and says why."""
    relay.inject(Fault.LOST)
    app.run("retry", app.name)
    found = app.until(lambda s: s["status"] == "unauthenticated", "red")
    assert word(found) == ("unauthenticated", "lost_rotation")


def is_signed_out_by_the_server(app: App, idp: Idp) -> None:
    """Grants that ended at the server are a verdict: red at the next attempt, and one sign-in mends it."""
    assert idp.revoke_all() >= 1
    app.run("retry", app.name)
    found = app.until(lambda s: s["status"] == "unauthenticated", "red")
    assert word(found) == ("unauthenticated", "refused")
    assert found["auth"]["last_error"]["code"] == "invalid_grant"
    assert app.command("status", app.name).returncode == 4


def restarts_without_a_browser(app: App, idp: Idp) -> None:
    """The login is in the keyring: the next start needs one refresh and nobody at the screen."""
    assert app.quit() == 0, app.tail()
    counted = idp.counts().refreshed
    with app:
        app.until_up()
        assert word(app.until(lambda s: s["status"] == "running", "running")) == ("running", "ok")
        assert idp.counts().refreshed == counted + 1
        assert app.quit() == 0, app.tail()


def stored(app: App) -> bytes:
    """What the desktop's keyring holds of this program."""
    command = [sys.executable, "-c", STORED]
    return subprocess.run(command, env=app.environment, capture_output=True, timeout=30, check=True).stdout


def keeps_its_secrets(app: App, relay: Relay, *places: Path) -> None:
    """The newest refresh token is in the keyring, and no token, code or verifier is in any file of this desktop."""
    assert relay.secrets.leaks(stored(app)) >= 1
    assert len(relay.secrets) > 30
    assert relay.secrets.leaking_files(app.output, *places) == []


def test_a_machine_without_a_screen(relay: Relay, idp: Idp, desk: Desk, tmp_path: Path) -> None:
    """Added by command, signed in on another machine by pasting, killed, back without a browser, revoked and removed."""

    environment = {name: value for name, value in desk.env.items() if name not in ("DISPLAY", "BROWSER")}
    app = App(environment, tmp_path, "real", "--no-tray")
    app.configure("[settings]\nport = 0\n")
    server = ("--issuer", idp.issuer, "--client-id", idp.client_id, "--scope", "openid")
    with app:
        app.until_up()
        add = ("add", app.name, "http://127.0.0.1:9/mcp", *server)
        printed = app.signed_in_elsewhere(*add, person=partial(sign_in_by_forms, to_the_end=False))
        assert relay.secrets.leaks(printed.encode()) == 0
        assert word(app.until(lambda s: s["status"] == "running", "running")) == ("running", "ok")
        assert bearer(app, idp) == "alice"
        refreshes(app, idp)
        app.kill()
    with app:
        app.until_up()
        assert word(app.until(lambda s: s["status"] == "running", "running")) == ("running", "ok")
        assert relay.secrets.leaks(stored(app)) >= 1
        revoked = idp.counts().revocations
        app.run("remove", app.name, "--yes")
        assert idp.counts().revocations == revoked + 1
        assert relay.secrets.leaks(stored(app)) == 0
        assert app.quit() == 0, app.tail()
    assert relay.secrets.leaking_files(app.output, desk.root) == []
