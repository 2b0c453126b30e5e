"""Windows' proxy settings: what *Settings, Network, Proxy* writes into the registry, read as WinINET reads it.

Python's own functions look up names in the network to find out whether a host is an exception; nothing here does. A script
(PAC) isn't followed.
"""

from __future__ import annotations

import contextlib
import re
import sys
from dataclasses import dataclass
from typing import Any

SETTINGS = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"
POLICIES = r"Software\Policies\Microsoft\Windows\CurrentVersion\Internet Settings"
LOCAL = "<local>"  # hosts without a dot in their name
_SEPARATORS = re.compile(r"[;\s]+")
_PORT = re.compile(r"(\[[^\]]*\]|[^:]+):([0-9]+)")  # host:port; not the last group of an IPv6 address
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class WindowsProxy:
    """The values of the registry. `script` counts even if `enabled` is off."""

    enabled: bool = False
    server: str = ""  # host:port for everything, or "http=host:port;https=host:port;socks=host:port"
    override: str = ""  # exceptions, with * as wildcard
    script: str = ""

    def proxy_for(self, scheme: str, host: str, port: int) -> str:
        """The proxy of an address, as a URL; empty if there is none."""
        if not self.enabled or _is_loopback(host) or self._is_exception(scheme, host, port):
            return ""
        if "=" not in self.server:
            return _url("http", self.server.strip(" ;"))
        pairs = (each.partition("=") for each in _SEPARATORS.split(self.server.lower()) if "=" in each)
        named = {kind.strip(): address for kind, _, address in pairs}
        if address := named.get(scheme):
            return _url("http", address)
        return _url("socks", named.get("socks", ""))  # which nobody here speaks, and says so

    def _is_exception(self, scheme: str, host: str, port: int) -> bool:
        return any(_matches(entry, scheme, host.lower(), port) for entry in _SEPARATORS.split(self.override.lower()))


def read(registry: Any = None) -> WindowsProxy:
    """The settings of this user, or of the machine if a policy says so. Empty ones where there are none."""
    if registry is None:
        if sys.platform != "win32":
            return WindowsProxy()
        import winreg as registry

    for_machine = _value(registry, registry.HKEY_LOCAL_MACHINE, POLICIES, "ProxySettingsPerUser") == 0
    root = registry.HKEY_LOCAL_MACHINE if for_machine else registry.HKEY_CURRENT_USER
    found = {
        name: _value(registry, root, SETTINGS, name)
        for name in ("ProxyEnable", "ProxyServer", "ProxyOverride", "AutoConfigURL")
    }
    server, override, script = (
        value if isinstance(value := found[name], str) else ""
        for name in ("ProxyServer", "ProxyOverride", "AutoConfigURL")
    )
    return WindowsProxy(found["ProxyEnable"] in (1, "1"), server, override, script)


def _value(registry: Any, root: Any, key: str, name: str) -> Any:
    with contextlib.suppress(OSError), registry.OpenKey(root, key) as opened:
        return registry.QueryValueEx(opened, name)[0]
    return None


def _matches(entry: str, scheme: str, host: str, port: int) -> bool:
    if not entry:
        return False
    if entry == LOCAL:
        return "." not in host and ":" not in host
    if found := _SCHEME.match(entry):
        if found[0] != f"{scheme}://":
            return False
        entry = entry[found.end() :]
    entry = entry.rstrip("/")
    if named := _PORT.fullmatch(entry):
        if int(named[2]) != port:
            return False
        entry = named[1]
    entry = entry.strip("[]")
    pattern = f"*{entry}" if entry.startswith(".") else entry
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), host) is not None


def _url(scheme: str, address: str) -> str:
    return address if not address or _SCHEME.match(address.lower()) else f"{scheme}://{address}"


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
