"""The page on the whole program: from the welcome to a connected workload, and across a restart without a reload."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.app import App
from tests.web.window import Window
from trayapp.oauthtest import OAuthServer

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

CONFIG = """
[settings]
port = {port}
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """The program without tray, bus or keyring, in directories of its own; its browser opens nothing."""
    places = {f"XDG_{name}_HOME": str(tmp_path / name) for name in ("CONFIG", "STATE", "DATA", "CACHE")}
    (tmp_path / "run").mkdir(mode=0o700)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        **places,
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "DBUS_SYSTEM_BUS_ADDRESS": "disabled:",
        "BROWSER": "true",
    }
    app = App(environment, tmp_path, "mine", "--no-tray")
    app.configure(CONFIG.format(port=free_port()))
    with app:
        yield app


def test_the_first_workload_and_a_restart(window: Window, app: App) -> None:
    """Set-up, form, sign-in page, green; then the app ends and starts again, and the same page goes on."""

    app.until_up()
    window.open(app.run("dashboard", "--print").split()[-1])
    assert "Choose your servers" == window.text("#setup-body h2")
    window.js("window.same = true")

    with OAuthServer(access_token_lifetime=3600.0, check=False) as server:
        window.see("#add").click()
        window.see("#add-name").send_keys("mine")
        window.see("#add-url").send_keys("http://127.0.0.1:9/mcp")
        window.see("#add-more summary").click()
        window.see("#add-issuer").send_keys(server.issuer)
        window.see("#add-client").send_keys(server.client_id)
        window.see("#add-dialog .primary").click()

        window.see("#setup-body .signing .fold").click()
        page = window.see("#setup-body .signing a").get_attribute("href")
        dashboard = window.driver.current_window_handle
        window.driver.switch_to.new_window("tab")
        window.driver.get(str(page))
        if allow := window.find("#allow"):
            allow[0].click()
        window.until(lambda: "signed in" in window.text().lower(), "not signed in", 20)
        window.driver.close()
        window.driver.switch_to.window(dashboard)
        window.until(lambda: "Connect your clients" in window.text("#setup-body"), "no next step")
        window.go("workloads")
        window.until(lambda: "mine is connected" in window.text("#summary"), "not connected")
        assert not window.find(".signing")

        window.go("workload/mine")
        window.until(lambda: "Connected" in window.text("#detail-recent"), "no history")
        window.see("#detail [data-do=pause]").click()
        window.until(lambda: "Paused" in window.text("#detail-label"), "not paused")

        assert 0 == app.quit()
        window.see("#gone")
        with app:
            window.until(lambda: not window.find("#gone"), "it does not come back", 30)
            window.until(lambda: "Paused" in window.text("#detail-label"), "not as it was")
            assert window.js("return window.same")
            window.until(lambda: "not running" in window.text("#detail-recent"), "the gap is not told")
