"""The proxy of Windows' and macOS' own settings, with the exceptions that come with it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.oauth.token_requests import CANARY, NAME, environment, refresh, told
from tests.proxy.proxying import proxied
from tests.raw_server import http_response, raw_server, respond_with
from trayapp.app import endpoint_checks
from trayapp.config.loader import Config, Paths, load
from trayapp.core.checks import WARNING
from trayapp.core.outcomes import Fault, Reply
from trayapp.system import proxies

__all__ = ["environment"]

PATIENCE = 60.0  # s; in Wine a first connection takes some
REFUSES = respond_with(http_response("407 Proxy Authentication Required"))


async def asked(endpoint: str) -> Reply:
    return await refresh(endpoint, limit=PATIENCE, connect=PATIENCE)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of a pretend system, by host; it is asked about no other."""
    found: dict[str, str] = {}
    monkeypatch.setattr(proxies, "HAS_SETTINGS", True)
    monkeypatch.setattr(proxies, "of_system", lambda scheme, host, port: found[host])
    return found


async def test_a_refresh_goes_through_it(settings: dict[str, str]) -> None:
    """As with HTTPS_PROXY: it gets a CONNECT and no token."""

    async with raw_server(REFUSES) as proxy:
        settings[NAME] = f"127.0.0.1:{proxy.port}"
        assert (False, "proxy") == told(await asked(f"https://{NAME}/token"))
        assert proxy.received.startswith(f"CONNECT {NAME}:443 ".encode())
        assert CANARY.encode() not in proxy.received


async def test_an_exception_is_reached_directly(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The library alone would know the proxy but not its exceptions."""

    async with raw_server(REFUSES) as proxy:
        settings["nowhere.test"] = ""
        monkeypatch.setattr("httpx2._utils.getproxies", lambda: {"https": f"http://127.0.0.1:{proxy.port}"})
        assert (False, "dns") == told(await asked("https://nowhere.test/token"))
        assert b"" == proxy.received


@pytest.mark.parametrize("address", ["socks://127.0.0.1:9", "http://[::", "gopher://user:hunter2@x"])
async def test_a_proxy_that_cannot_be_used(settings: dict[str, str], address: str) -> None:
    """It is no reason to connect directly, and no password is quoted."""

    settings[NAME] = address
    reply = await asked(f"https://{NAME}/token")
    assert (False, "proxy") == told(reply)
    assert isinstance(reply, Fault)
    assert "hunter2" not in reply.summary


async def test_the_local_proxy_uses_it_too(settings: dict[str, str], tmp_path: Path) -> None:
    """And says where it is configured."""

    async with raw_server(REFUSES) as proxy:
        settings["mcp.invalid"] = f"http://127.0.0.1:{proxy.port}"
        async with proxied("https://mcp.invalid/mcp", tmp_path / "a") as site:
            assert (502, "proxy_refused") == await site.error()
        assert proxy.received.startswith(b"CONNECT mcp.invalid:443 ")
    settings["mcp.invalid"] = "socks://127.0.0.1:9"
    async with proxied("https://mcp.invalid/mcp", tmp_path / "b") as site:
        assert (502, "proxy_unusable") == await site.error()
        assert "the system's settings" == proxies.source()


def config(tmp_path: Path, url: str) -> Config:
    return load(Paths.under(tmp_path), {}, text=f'[workloads.notes]\nurl = "{url}"\n')


async def test_a_script_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `doctor`: nothing else would explain why a browser gets through and Amberlight doesn't."""

    monkeypatch.setattr(proxies, "script", lambda: "http://pac.corp.test/proxy.pac?user=me")
    checks = await endpoint_checks.endpoints(config(tmp_path, "http://127.0.0.1:9/"), {})
    (check,) = (each for each in checks if each.name == "proxy")
    assert WARNING == check.state
    assert "The system's settings name a proxy script (pac.corp.test), which Amberlight doesn't follow." == check.text


@pytest.mark.skipif(sys.platform != "win32", reason="the registry of Windows")
async def test_windows_registry(tmp_path: Path) -> None:
    """Real values: a proxy, its exceptions and <local>, for a refresh, the local proxy and `doctor`."""

    from tests.system.registry import proxy_settings

    async with raw_server(REFUSES) as proxy:
        address = f"127.0.0.1:{proxy.port}"
        with proxy_settings(ProxyEnable=1, ProxyServer=address, ProxyOverride="*.direct.test;<local>"):
            assert (False, "proxy") == told(await asked("https://login.far.invalid/token"))
            assert proxy.received.startswith(b"CONNECT login.far.invalid:443 ")
            assert ("127.0.0.1", proxy.port) == endpoint_checks.proxy_for("https", "login.far.invalid", 443)
            seen = len(proxy.received)
            for host in ("a.direct.test", "intranet-without-a-dot"):
                assert (False, "dns") == told(await asked(f"https://{host}/token"))
                assert None is endpoint_checks.proxy_for("https", host, 443)
            assert seen == len(proxy.received)
            async with proxied("https://mcp.invalid/mcp", tmp_path / "a") as site:
                assert (502, "proxy_refused") == await site.error()
            async with proxied("https://mcp.direct.test/mcp", tmp_path / "b") as site:
                assert (502, "upstream_unreachable") == await site.error()
