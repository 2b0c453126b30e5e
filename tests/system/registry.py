"""This user's proxy settings in the registry of Windows, changed for a moment."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from trayapp.system.windows_proxy import SETTINGS

NAMES = ("ProxyEnable", "ProxyServer", "ProxyOverride", "AutoConfigURL")


@contextlib.contextmanager
def proxy_settings(**values: int | str) -> Iterator[None]:
    """These settings and no others; afterwards those that there were."""
    if sys.platform != "win32":
        raise AssertionError("the registry is Windows'")
    import winreg

    with winreg.CreateKeyEx(winreg.HKEY_CURRENT_USER, SETTINGS, 0, winreg.KEY_ALL_ACCESS) as key:
        before = {}
        for name in NAMES:
            with contextlib.suppress(FileNotFoundError):
                before[name] = winreg.QueryValueEx(key, name)
                winreg.DeleteValue(key, name)
        try:
            for name, value in values.items():
                winreg.SetValueEx(key, name, 0, winreg.REG_DWORD if isinstance(value, int) else winreg.REG_SZ, value)
            yield
        finally:
            for name in NAMES:
                with contextlib.suppress(FileNotFoundError):
                    winreg.DeleteValue(key, name)
            for name, (value, kind) in before.items():
                winreg.SetValueEx(key, name, 0, kind, value)
