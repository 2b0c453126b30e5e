"""Signing in over SSH: `add` and `reauthorize` with `--device` and `--no-browser` in a pseudo-terminal.

The authorization server is oidc-provider, the workload a protected MCP server, and Chromium the person's other
machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.desktop.desk import Desk
from tests.real.app import HURRIED, App
from tests.real.device_page import enter_code
from tests.real.form_sign_in import sign_in_by_forms
from tests.real.idp import Idp
from tests.real.relay import Fault, Relay
from tests.real.terminal import Terminal

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

CONFIG = '[settings]\nport = 0\ninitial_retry_interval = "300ms"\n'
CODE = r"enter this code:\s+([A-Z]{4}-[A-Z]{4})\s"


@pytest.fixture
def app(idp: Idp, desk: Desk, tmp_path: Path) -> Iterator[App]:
    """The program on a machine without a screen, and nothing configured."""
    environment = {name: value for name, value in desk.env.items() if name not in ("DISPLAY", "BROWSER")}
    app = App(environment, tmp_path, "real", "--no-tray")
    app.configure(CONFIG)
    app.program = ("-c", HURRIED)
    with app:
        app.until_up()
        yield app


def terminal(app: App, *words: str) -> Terminal:
    return Terminal([sys.executable, "-m", "trayapp", *words], app.environment, app.directory)


def again(app: App, *options: str) -> Terminal:
    """`reauthorize`, once it may be asked for again: for a while after one sign-in the app begins no other."""
    while True:
        ssh = terminal(app, "reauthorize", app.name, *options)
        if "just requested" not in ssh.expect("just requested|http://")[0]:
            return ssh
        with ssh:
            ssh.wait()
        time.sleep(0.3)


def word(app: App) -> tuple[Any, ...]:
    status = app.status()
    return status["status"], status["auth"]["detail"], status["auth"]["signing_in"]


def test_a_code_for_another_machine(relay: Relay, idp: Idp, mcp_server: str, app: App, chromium: None) -> None:
    """`add NAME URL --device`: found, registered, the code typed into Chromium, running; then again by `reauthorize
    --device`, through a bad network, after an abort, and after Ctrl-C."""

    with terminal(app, "add", app.name, mcp_server, "--device") as ssh:
        code = ssh.expect(CODE)[1]
        address = ssh.expect(r"\s(http://\S+/device)\s")[1]
        told = app.status()["auth"]["device"]
        assert (code, address) == (told["user_code"], told["verification_uri"])
        assert "Confirm Device" in " ".join(enter_code(address, code))
        ssh.expect("real is signed in")
        assert ssh.wait() == 0
        assert not ssh.hostile()
        assert relay.secrets.leaks(ssh.raw) == 0
    assert word(app) == ("running", "ok", False)
    assert 'flow = "device"' in Path(app.environment["XDG_CONFIG_HOME"], "amberlight", "config.toml").read_text()
    refreshed = app.status()["auth"]["last_refreshed_at"]

    with again(app, "--device") as ssh:  # a person who aborts
        enter_code(ssh.expect(r"\s(http://\S+/device)\s")[1], ssh.expect(CODE)[1], agree=False)
        ssh.expect("declined|denied")
        assert ssh.wait() == 1
    assert word(app) == ("running", "ok", False)

    with again(app, "--device") as ssh:  # a person who changes their mind
        ssh.expect(CODE)
        ssh.interrupt()
        assert ssh.wait() == 130
        assert "Canceled the sign-in" in ssh.screen
    app.until(lambda s: not s["auth"]["signing_in"], "cancelled")
    assert app.status()["auth"]["device"] is None
    assert app.status()["auth"]["last_refreshed_at"] == refreshed

    with again(app, "--device") as ssh:  # a network that goes and comes
        code, address = ssh.expect(CODE)[1], ssh.expect(r"\s(http://\S+/device\?user_code=\S+)\s")[1]
        relay.inject(Fault.FIREWALL)
        relay.inject(Fault.RESET)
        enter_code(address, code)
        ssh.expect("real is signed in", 60)
        assert ssh.wait() == 0
    assert word(app) == ("running", "ok", False)
    assert app.status()["auth"]["last_refreshed_at"] != refreshed
    assert relay.secrets.leaking_files(app.output) == []
    log = app.output.read_bytes() + b"".join(
        f.read_bytes() for f in Path(app.environment["XDG_STATE_HOME"]).rglob("*.log")
    )
    assert b"listening on" in log
    assert code.encode() not in log
    assert b"could not be checked" not in log  # the ID tokens were signed with RS256, and the keys are the server's
    assert app.run("token", app.name, "--min-validity", "1").strip()


def test_an_address_to_be_pasted(relay: Relay, idp: Idp, mcp_server: str, app: App) -> None:
    """`add NAME URL --no-browser`: nonsense and foreign addresses are complained about, and the right one is taken as
    terminals paste it; `reauthorize --no-browser` too; Ctrl-C leaves all as it was."""

    with terminal(app, "add", app.name, mcp_server, "--no-browser") as ssh:
        redirect = sign_in_by_forms(ssh.expect(r"\s(http://\S+/auth\?\S+)\s")[1], to_the_end=False)
        for wrong in (
            "what do I do now?",
            "http://127.0.0.1:1/callback?code=x&state=y",
            redirect.replace("state=", "state=x"),
            "\x1b[31mhttps://example.com/\x1b[0m",
        ):
            before = ssh.screen.count("Paste the whole address")
            ssh.line(wrong)
            ssh.expect(rf"(?s)(Paste the whole address.*){{{before + 1}}}")
        ssh.line(f'\x1b[200~"{redirect}"\x1b[201~')
        ssh.expect("real is signed in")
        assert ssh.wait() == 0
    assert word(app) == ("running", "ok", False)
    refreshed = app.status()["auth"]["last_refreshed_at"]

    with again(app, "--no-browser") as ssh:
        page = ssh.expect(r"\s(http://\S+/auth\?\S+)\s")[1]
        ssh.interrupt()
        assert ssh.wait() == 130
    app.until(lambda s: not s["auth"]["signing_in"], "cancelled")
    assert app.status()["auth"]["last_refreshed_at"] == refreshed
    assert word(app) == ("running", "ok", False)

    with again(app, "--no-browser") as ssh:
        late = sign_in_by_forms(page, to_the_end=False)  # of the sign-in that was given up: another state
        fresh = ssh.expect(r"\s(http://\S+/auth\?\S+)\s")[1]
        ssh.line(late)
        ssh.expect("Paste the whole address")
        ssh.line(f"  '{sign_in_by_forms(fresh, to_the_end=False)}'  ")
        ssh.expect("real is signed in")
        assert ssh.wait() == 0
    assert word(app) == ("running", "ok", False)
    assert app.status()["auth"]["last_refreshed_at"] != refreshed
    assert relay.secrets.leaking_files(app.output) == []
