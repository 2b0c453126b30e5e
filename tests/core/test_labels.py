"""Every state has one label, and it is true."""

from __future__ import annotations

import pytest

from trayapp.core.labels import LEAVING, Label, label, label_of
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.snapshot import AuthView, Detail, Health, Status, WorkloadView


@pytest.mark.parametrize(
    ("status", "detail", "usable", "expected"),
    [
        (Status.RUNNING, Detail.OK, True, Label.CONNECTED),
        (Status.RUNNING, Detail.OFFLINE, True, Label.CONNECTED),
        (Status.RUNNING, Detail.OFFLINE, False, Label.OFFLINE),
        (Status.RUNNING, Detail.RETRYING, False, Label.RECONNECTING),
        (Status.RUNNING, Detail.REFRESH_DELAYED, False, Label.CONNECTED),
        (Status.RUNNING, Detail.PERMISSION_NEEDED, True, Label.CONNECTED),
        (Status.STARTING, Detail.STARTING, False, Label.STARTING),
        (Status.STARTING, Detail.KEYRING_LOCKED, False, Label.KEYRING_LOCKED),
        (Status.AUTH_RETRYING, Detail.RETRYING, False, Label.RECONNECTING),
        (Status.AUTH_RETRYING, Detail.PORTAL, False, Label.OFFLINE),
        (Status.AUTH_RETRYING, Detail.KEYRING_UNAVAILABLE, False, Label.KEYRING_UNAVAILABLE),
        (Status.UNAUTHENTICATED, Detail.CEILING, False, Label.SIGN_IN_NEEDED),
        (Status.UNAUTHENTICATED, Detail.NEVER_SIGNED_IN, False, Label.NOT_SIGNED_IN),
        (Status.ERROR, Detail.CONFIG_ERROR, False, Label.CONFIGURATION_ERROR),
        (Status.ERROR, Detail.CONFIRM_CHANGE, False, Label.SIGN_IN_NEEDED),
        (Status.UNHEALTHY, Detail.UPSTREAM_REJECTS, True, Label.ACCESS_REFUSED),
        (Status.STOPPED, Detail.KEYRING_LOCKED, False, Label.PAUSED),
    ],
)
def test_a_label_says_what_is_true(status: Status, detail: Detail, usable: bool, expected: Label) -> None:
    """A usable token counts as connected, whatever is in the way; without one the obstacle is named."""

    assert expected is label_of(status, detail, usable=usable)


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize("status", Status)
def test_only_a_workload_that_is_leaving_has_none(status: Status, detail: Detail) -> None:
    """Whatever the detail; it has words of its own."""

    view = WorkloadView(
        "x", "https://x", status, "", Health.UNKNOWN, Colour.GREY, Glyph.OPEN, AuthView(detail, since=0.0)
    )

    found = label_of(status, detail, usable=False)
    assert (status in LEAVING) is (found is None)
    assert (found or LEAVING[status]) == label(view)
