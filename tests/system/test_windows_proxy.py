"""Windows' proxy settings, as other programs there understand them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from trayapp.system import proxies, windows_proxy
from trayapp.system.windows_proxy import POLICIES, SETTINGS, WindowsProxy

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def on(server: str = "proxy:8080", override: str = "") -> WindowsProxy:
    return WindowsProxy(True, server, override)


@pytest.mark.parametrize(
    ("server", "scheme", "proxy"),
    [
        ("proxy:8080", "https", "http://proxy:8080"),
        ("proxy:8080", "http", "http://proxy:8080"),
        ("http://proxy:8080", "https", "http://proxy:8080"),
        ("https://proxy:8443", "https", "https://proxy:8443"),
        ("proxy", "https", "http://proxy"),
        ("[2001:db8::1]:8080", "https", "http://[2001:db8::1]:8080"),
        ("http=a:1;https=b:2;ftp=c:3;socks=d:4", "https", "http://b:2"),
        ("http=a:1;https=b:2;ftp=c:3;socks=d:4", "http", "http://a:1"),
        ("HTTP=a:1 HTTPS=B:2", "https", "http://b:2"),
        ("https=https://b:2", "https", "https://b:2"),
        ("http=a:1", "https", ""),
        ("http=a:1;socks=d:4", "https", "socks://d:4"),
        ("socks=d:4", "http", "socks://d:4"),
        ("", "https", ""),
        (";", "https", ""),
    ],
)
def test_the_proxy_of_a_scheme(server: str, scheme: str, proxy: str) -> None:
    """One for everything, or one for each protocol; what speaks no HTTP is named as it is."""

    assert proxy == on(server).proxy_for(scheme, "server.example.com", 443)
    assert "" == WindowsProxy(False, server).proxy_for(scheme, "server.example.com", 443)


@pytest.mark.parametrize(
    ("override", "host", "direct"),
    [
        ("", "server.example.com", False),
        ("<local>", "intranet", True),
        ("<local>", "server.example.com", False),
        ("<local>", "10.0.0.1", False),
        ("<local>", "2001:db8::1", False),
        ("*.example.com", "server.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.EXAMPLE.com;<local>", "Server.Example.COM", True),
        (".example.com", "server.example.com", True),
        ("example.com", "server.example.com", False),
        ("other; server.*;x", "server.example.com", True),
        ("10.*", "10.1.2.3", True),
        ("10.*", "110.1.2.3", False),
        ("*", "server.example.com", True),
        ("server.example.com:443", "server.example.com", True),
        ("server.example.com:8443", "server.example.com", False),
        ("https://server.example.com", "server.example.com", True),
        ("https://*.example.com/", "server.example.com", True),
        ("http://server.example.com", "server.example.com", False),
        ("[2001:db8::1]", "2001:db8::1", True),
        ("[2001:db8::1]:443", "2001:db8::1", True),
        ("[2001:db8::1]:444", "2001:db8::1", False),
        ("2001:db8::*", "2001:db8::1", True),
        ("serverXexample.com", "server.example.com", False),
        ("server.example.com", "serverXexample.com", False),
        ("<-loopback>", "server.example.com", False),
    ],
)
def test_exceptions(override: str, host: str, direct: bool) -> None:
    """With wildcards, ports and schemes, and hosts without a dot; a dot is nothing but a dot."""

    assert direct == ("" == on(override=override).proxy_for("https", host, 443))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
@pytest.mark.parametrize("override", ["", "<-loopback>"])
def test_this_machine_is_never_reached_through_a_proxy(host: str, override: str) -> None:
    """Whatever the settings say."""

    assert "" == on(override=override).proxy_for("http", host, 80)


class Registry:
    """A strict `winreg`."""

    HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE = "user", "machine"

    def __init__(self, values: dict[tuple[str, str, str], Any]) -> None:
        self.values = values

    @contextmanager
    def OpenKey(self, root: str, key: str) -> Iterator[tuple[str, str]]:
        if not any((root, key) == place[:2] for place in self.values):
            raise FileNotFoundError
        yield root, key

    def QueryValueEx(self, key: tuple[str, str], name: str) -> tuple[Any, int]:
        try:
            return self.values[(*key, name)], 1
        except KeyError:
            raise FileNotFoundError from None


def of(root: str, **values: Any) -> dict[tuple[str, str, str], Any]:
    return {(root, SETTINGS, name): value for name, value in values.items()}


def test_the_registry() -> None:
    """Of the user; of the machine where a policy says so; nothing at all on a new computer."""

    user = of("user", ProxyEnable=1, ProxyServer="p:1", ProxyOverride="<local>", AutoConfigURL="http://pac/x")
    machine = of("machine", ProxyEnable=1, ProxyServer="m:1")
    assert WindowsProxy() == windows_proxy.read(Registry({}))
    assert WindowsProxy(True, "p:1", "<local>", "http://pac/x") == windows_proxy.read(Registry(user | machine))
    for per_user, server in ((0, "m:1"), (1, "p:1")):
        policy = {("machine", POLICIES, "ProxySettingsPerUser"): per_user}
        assert server == windows_proxy.read(Registry(user | machine | policy)).server


def test_odd_values_of_the_registry() -> None:
    """Of another type than Windows writes."""

    assert windows_proxy.read(Registry(of("user", ProxyEnable="1", ProxyServer="p"))).enabled
    odd = of("user", ProxyEnable=b"\x01", ProxyServer=7, ProxyOverride=None, AutoConfigURL=["x"])
    assert WindowsProxy() == windows_proxy.read(Registry(odd))


# --- with the environment --------------------------------------------------------------------------------------------


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("no_variables")
def test_a_variable_decides_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Linux, where there is nothing else."""

    monkeypatch.setattr(windows_proxy, "read", lambda: pytest.fail("nobody asked for the registry"))
    monkeypatch.setenv("https_proxy", "http://p:1")
    monkeypatch.setenv("no_proxy", "example.com")
    assert "http://p:1" == proxies.configured("https", "other.test", 443)
    assert ("", "") == (proxies.configured("https", "a.example.com", 443), proxies.configured("http", "other.test", 80))
    assert (None, "") == (proxies.of_system("https", "other.test", 443), proxies.script())
    assert "HTTPS_PROXY" == proxies.source()


@pytest.mark.usefixtures("no_variables")
@pytest.mark.skipif(sys.platform != "win32", reason="the registry of Windows")
def test_the_registry_itself() -> None:
    """What is written there is used from the next request on; afterwards it is as it was."""

    from tests.system.registry import proxy_settings

    with proxy_settings(ProxyEnable=1, ProxyServer="http=h:1;https=s:2", ProxyOverride="*.corp.test;<local>"):
        assert "http://s:2" == proxies.configured("https", "server.example.com", 443)
        assert "http://h:1" == proxies.configured("http", "server.example.com", 80)
        assert "" == proxies.configured("https", "a.corp.test", 443) + proxies.configured("https", "intranet", 443)
        assert "the system's settings" == proxies.source()
    with proxy_settings(ProxyEnable=0, ProxyServer="s:2", AutoConfigURL="http://pac.corp.test/proxy.pac"):
        assert "" == proxies.configured("https", "server.example.com", 443)
        assert "http://pac.corp.test/proxy.pac" == proxies.script()
