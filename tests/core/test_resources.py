"""Comparison of URLs and resources, and that a login doesn't follow a changed URL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trayapp.core import machine
from trayapp.core.messages import Loaded
from trayapp.core.model import Login, Moment, Phase, Secret, Spec
from trayapp.core.resources import covers, origin, same_address, same_origin

URL = "https://mcp.example.com/mcp"


@pytest.mark.parametrize(
    ("resource", "url", "expected"),
    [
        (URL, URL, True),
        (URL, f"{URL}/", True),
        (f"{URL}/", URL, True),
        ("https://mcp.example.com", URL, True),
        ("https://mcp.example.com/", URL, True),
        ("https://MCP.EXAMPLE.COM:443", URL, True),
        (URL, f"{URL}/deeper?x=1", True),
        (f"{URL}/deeper", URL, False),
        ("https://mcp.example.com/mc", URL, False),
        (f"{URL}?a=1", URL, False),
        (f"{URL}?a=1", f"{URL}?a=1", True),
        ("http://mcp.example.com/mcp", URL, False),
        ("https://mcp.example.com:8443/mcp", URL, False),
        ("https://example.com", URL, False),
        ("api://something", URL, False),
        ("", URL, False),
        ("", "", False),
        ("https://[x/", URL, False),
        ("https://mcp.example.com:x", URL, False),
    ],
)
def test_covers(resource: str, url: str, expected: bool) -> None:
    """The same origin, and a path that is the same or lies below."""

    assert expected is covers(resource, url)


def test_origins_and_addresses() -> None:
    """Default ports and case are no difference between origins. Between addresses one slash at the end is none, and
    everything else is."""

    assert ("https", "a.test", 443) == origin("HTTPS://A.test/x")
    assert origin("mailto:x") is None
    assert same_origin("https://a.test", "https://A.test:443/x")
    assert not same_origin("https://a.test", "http://a.test")
    assert same_address("https://a.test", "https://a.test/")
    assert same_address("https://a.test/x/", "https://a.test/x")
    assert same_address("https://a.test/x", "https://a.test/x")
    for other in (
        "https://b.test/x",
        "https://a.test/x//",
        "https://a.test//x",
        "https://A.test/x",
        "https://a.test/X",
    ):
        assert not same_address("https://a.test/x", other)
        assert not same_address(other, "https://a.test/x")


LOGIN = Login(
    3, "line", Secret("rt"), 0.0, "https://login.example.com/token", "c", "https://login.example.com", resource=URL
)


@pytest.mark.parametrize(
    ("spec", "login", "phase"),
    [
        (Spec("one", URL), LOGIN, Phase.WAITING),
        (Spec("one", f"{URL}/deeper"), LOGIN, Phase.WAITING),
        (Spec("one", "https://evil.example/mcp"), LOGIN, Phase.BROKEN),
        (Spec("one", URL), replace(LOGIN, resource="", issuer="https://mcp.example.com/"), Phase.WAITING),
        (
            Spec("one", "https://evil.example/mcp"),
            replace(LOGIN, resource="", issuer="https://mcp.example.com"),
            Phase.BROKEN,
        ),
        (Spec("one", "https://evil.example/mcp"), replace(LOGIN, resource="", issuer=""), Phase.BROKEN),
        (Spec("one", "https://evil.example/mcp", issuer=LOGIN.issuer), LOGIN, Phase.WAITING),
        (Spec("one", "https://evil.example/mcp", resource="api://x"), LOGIN, Phase.WAITING),
    ],
)
def test_a_login_stays_with_its_address(spec: Spec, login: Login, phase: Phase) -> None:
    """With only a URL configured, a URL that changed between runs needs agreement first."""

    w, _ = machine.step(machine.begin(spec)[0], Loaded(Moment(0.0, 0.0, 0.0), login))

    assert phase is w.phase


def test_what_a_login_belongs_to() -> None:
    """The address itself, where neither issuer nor endpoints are configured."""

    assert Spec("one", URL).identity() != Spec("one", "https://other.example").identity()
    for more in (
        {"issuer": "https://i.test"},
        {"token_endpoint": "https://t.test"},
        {"metadata_url": "https://m.test"},
    ):
        assert Spec("one", URL, **more).identity() == Spec("one", "https://other.example", **more).identity()  # type: ignore[arg-type]
    assert Spec("one", URL).identity() != Spec("one", URL, metadata_url="https://m.test").identity()
    assert Spec("one", URL).identity() == Spec("one", URL, omit_resource=True).identity()


@pytest.mark.parametrize("more", [{"metadata_url": "https://m.test"}, {"omit_resource": True}])
def test_a_login_of_a_server_elsewhere_needs_no_agreement_at_each_start(more: Any) -> None:
    """Its resource isn't sent, or its server isn't the one that the URL names, so the login doesn't show the URL."""

    login = replace(LOGIN, resource="", issuer="https://elsewhere.test")
    w, _ = machine.step(machine.begin(Spec("one", URL, **more))[0], Loaded(Moment(0.0, 0.0, 0.0), login))

    assert Phase.BROKEN is not w.phase
