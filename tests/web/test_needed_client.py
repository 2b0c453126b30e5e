"""A server that registers no clients: the form stays open, says what to register, and adds it with what was created."""

from __future__ import annotations

import pytest

from tests.web.conftest import Open
from tests.web.window import Window
from trayapp.api.controls import ClientNeeded, Rejected

pytestmark = pytest.mark.real


def test_the_client_is_added_with_its_redirect(window: Window, show: Open) -> None:
    """The port that was registered goes along, or the server would refuse the redirect."""

    stage = show()
    text = "login.example.com doesn't register apps automatically."
    needed = ClientNeeded("http://127.0.0.1:51234/callback", 51234, "none")
    stage.control.rejected = Rejected(409, "client_id_needed", text, {"client_id": text}, needed)
    window.see("#add").click()
    window.see("#add-url").send_keys("localhost:8080/mcp")
    window.see("#add-name").send_keys("one")
    window.see("#add-dialog .primary").click()
    window.until(lambda: text in window.text("#error-client_id"), "not said")
    assert needed.redirect_uri == window.see("#add-redirect-uri").get_attribute("value")
    assert not window.find("#add-secret-field")
    stage.control.rejected = None
    window.see("#add-client").send_keys("client-1")
    window.see("#add-dialog .primary").click()

    keys = {"url": "http://localhost:8080/mcp", "client_id": "client-1", "redirect_port": 51234}
    window.until(lambda: ("add", "one", keys) in stage.control.calls, "not added")
