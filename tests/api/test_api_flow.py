"""Choosing browser or device for a sign-in, and cancelling one, through the API."""

from __future__ import annotations

import pytest

from tests.api.test_api import GITHUB, Site
from tests.api.test_api import site as site


async def test_the_flow_is_passed_on(site: Site) -> None:
    """`device` or `browser`; without a word it is as configured."""

    await site.ask("POST", f"{GITHUB}/reauthorize", json={"browser": False, "flow": "device"})
    await site.ask("POST", f"{GITHUB}/reauthorize", json={"browser": False, "flow": "browser"})
    await site.ask("POST", f"{GITHUB}/reauthorize", json={"browser": False, "flow": ""})

    assert [
        ("reauthorize", "github", False, False, "device"),
        ("reauthorize", "github", False, False, "browser"),
        ("reauthorize", "github", False, False),
    ] == site.control.calls


@pytest.mark.parametrize("flow", ["carrier pigeon", 7, None, "Device"])
async def test_a_flow_that_does_not_exist(site: Site, flow: object) -> None:
    """A sentence names the field, and nothing begins."""

    status, body, _ = await site.ask("POST", f"{GITHUB}/reauthorize", json={"flow": flow})

    assert 400 == status
    assert "flow" in body["message"]
    assert [] == site.control.calls


async def test_cancelled(site: Site) -> None:
    """The app is told, and a person who thinks again need not wait ten seconds."""

    await site.ask("POST", f"{GITHUB}/reauthorize")
    assert 202 == (await site.ask("POST", f"{GITHUB}/cancel"))[0]
    assert ("cancel_sign_in", "github") == site.control.calls[-1]
    assert 202 == (await site.ask("POST", f"{GITHUB}/reauthorize"))[0]
    assert 404 == (await site.ask("POST", GITHUB.replace("github", "nobody") + "/cancel"))[0]


async def test_cancelled_for_a_new_registration(site: Site) -> None:
    """The person saw the server's error page: the app is told that, too, and nothing but a boolean says so."""

    assert 202 == (await site.ask("POST", f"{GITHUB}/cancel", json={"register": True}))[0]
    assert ("cancel_sign_in", "github", "register") == site.control.calls[-1]
    assert 400 == (await site.ask("POST", f"{GITHUB}/cancel", json={"register": "yes"}))[0]
    assert 1 == len(site.control.calls)
