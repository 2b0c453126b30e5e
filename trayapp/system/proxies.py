"""The HTTP proxy of an address: what HTTPS_PROXY and NO_PROXY say, else the system's settings (Windows, macOS).

One variable is enough for the environment to decide alone, as urllib has it. The system's settings come with exceptions of
their own, which libraries that only ask for the proxies leave out.
"""

from __future__ import annotations

import sys
from urllib.request import getproxies, getproxies_environment, proxy_bypass

HAS_SETTINGS = sys.platform in ("win32", "darwin")  # others have none besides the environment


def configured(scheme: str, host: str, port: int) -> str:
    """The proxy as it is configured, a URL or host and port; empty if there is none. May take milliseconds."""
    if (found := of_system(scheme, host, port)) is not None:
        return found
    named = getproxies_environment()
    proxy = named.get(scheme) or named.get("all") or ""
    return "" if proxy and proxy_bypass(f"{host}:{port}") else proxy  # it asks the environment, as there are variables


def of_system(scheme: str, host: str, port: int) -> str | None:
    """The same of the system's settings; None if the environment decides."""
    if not HAS_SETTINGS or getproxies_environment():
        return None
    if sys.platform == "win32":
        from trayapp.system import windows_proxy

        return windows_proxy.read().proxy_for(scheme, host, port)
    named = getproxies()
    proxy = named.get(scheme) or named.get("all") or ""
    return "" if proxy and proxy_bypass(f"{host}:{port}") else proxy


def script() -> str:
    """The address of a proxy script that the system's settings name and nobody here follows; empty if there is none."""
    if sys.platform != "win32" or getproxies_environment():
        return ""
    from trayapp.system import windows_proxy

    return windows_proxy.read().script


def source() -> str:
    """Where the proxy is configured, for a sentence."""
    return "HTTPS_PROXY" if getproxies_environment() or not HAS_SETTINGS else "the system's settings"
