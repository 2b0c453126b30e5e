"""A pending device authorization in menu, notification, sentence and API."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.test_menu import GREEN, NEVER, RED, local, snap
from tests.core.test_notices import Desk
from trayapp.core.menu import tray_view
from trayapp.core.model import DeviceCode, Spec, Workload
from trayapp.core.presentation import Action, Verb
from trayapp.core.public import auth_json, device_json
from trayapp.core.sentences import context, enter_code
from trayapp.core.snapshot import Detail, Status, WorkloadView

CODE = DeviceCode("ABCD-EFGH", "https://example.com/device", "https://example.com/device?user_code=ABCD-EFGH", 900.0)


def waiting(view: WorkloadView, code: DeviceCode | None = CODE) -> WorkloadView:
    return replace(view, auth=replace(view.auth, signing_in=True, device=code))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("https://example.com/device", "Enter code ABCD-EFGH at example.com/device"),
        ("https://example.com/", "Enter code ABCD-EFGH at example.com"),
        ("http://127.0.0.1:8080/device", "Enter code ABCD-EFGH at 127.0.0.1:8080/device"),
        ("https://example.com/login?to=device", "Enter code ABCD-EFGH at example.com/login?to=device"),
        (f"https://example.com/{'a' * 100}", "Enter code ABCD-EFGH at example.com"),
    ],
)
def test_enter_code_sentence(uri: str, words: str) -> None:
    """The URL as a person types it; only the host of a long one."""

    assert words == enter_code(replace(CODE, verification_uri=uri))


def test_the_status_context_begins_with_the_code() -> None:
    """Only for a workload that needs the sign-in; one that runs meanwhile doesn't mention it."""

    w = Workload(Spec("w", "https://w.example"), signing_in=True, device=CODE)

    said = context(w, Status.UNAUTHENTICATED, Detail.NEVER_SIGNED_IN, usable=False)
    assert said.startswith("Enter code ABCD-EFGH at example.com/device to finish signing in")
    assert "only if you started the sign-in" in said
    assert "" == context(w, Status.RUNNING, Detail.OK, usable=True)


@pytest.mark.parametrize("view", [GREEN, RED, NEVER])
def test_the_menu_has_a_line_for_it(view: WorkloadView) -> None:
    """At the top, whatever the status; a click opens the page, and no other line offers the same."""

    items = {item.key: item for item in tray_view(snap(waiting(view)), local).menu}
    line = items[f"device:{view.name}"]
    assert f"{view.name}: Enter code ABCD-EFGH at example.com/device…" == line.text
    assert Action(Verb.REAUTHORIZE, view.name) == line.action
    assert f"top:{view.name}" not in items
    assert view is GREEN or items[f"workload:{view.name}"].text.endswith(", enter the code")
    assert "device:" not in "".join(item.key for item in tray_view(snap(view), local).menu)


def test_the_notification_stands_while_the_code_is_good() -> None:
    """Shown once per code, even when muted, with a warning and a button; withdrawn with the sign-in."""

    desk = Desk()
    assert [] == desk.see(GREEN, muted=True)
    assert ["Sign-in code for github: ABCD-EFGH"] == desk.see(waiting(GREEN), muted=True)
    notice = desk.up["device:github"]
    assert "example.com/device" in notice.body
    assert "Do this only if you started the sign-in yourself." in notice.body
    assert (("Open page", Action(Verb.REAUTHORIZE, "github")),) == notice.buttons
    assert [] == desk.see(waiting(GREEN), muted=True)
    assert ["Sign-in code for github: WXYZ-WXYZ"] == desk.see(waiting(GREEN, replace(CODE, user_code="WXYZ-WXYZ")))
    assert [] == desk.see(GREEN)
    assert "device:github" not in desk.up


def test_the_api_has_it_as_an_object() -> None:
    """`auth.device`; null without a code, and null for an address that the server did not give."""

    assert auth_json(GREEN.auth)["device"] is None
    assert {
        "user_code": "ABCD-EFGH",
        "verification_uri": "https://example.com/device",
        "verification_uri_complete": "https://example.com/device?user_code=ABCD-EFGH",
        "expires_at": "1970-01-01T00:15:00.000Z",
    } == auth_json(waiting(GREEN).auth)["device"]
    bare = device_json(replace(CODE, verification_uri_complete=""))
    assert bare is not None
    assert bare["verification_uri_complete"] is None
