"""Which login to the desktop this is: what is true until the next login is kept with this text.

Linux: the machine's start; whatever is to end with a login is kept in the runtime directory, which ends with it, too. macOS:
the start and the audit session, which each login at the login window begins anew. Windows: the logon session.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def identity() -> str:
    """A text that no later login has; empty if the system doesn't tell."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        if sys.platform == "darwin":
            return _macos()
        if sys.platform == "win32":
            return _windows()
        return BOOT_ID.read_text(encoding="ascii").strip()
    return ""


def _macos() -> str:
    import ctypes

    system = ctypes.CDLL(None)
    text, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
    if system.sysctlbyname(b"kern.bootsessionuuid", text, ctypes.byref(size), None, ctypes.c_size_t(0)):
        return ""
    audit = (ctypes.c_uint32 * 12)()  # struct auditinfo_addr of bsm/audit.h: 48 bytes, ai_asid at 36
    if system.getaudit_addr(ctypes.byref(audit), ctypes.sizeof(audit)):
        return ""
    return f"{text.value.decode()} {audit[9]}"


def _windows() -> str:
    import ctypes

    kernel, security = ctypes.windll.kernel32, ctypes.windll.advapi32  # type: ignore[attr-defined, unused-ignore]
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    token = ctypes.c_void_p()
    if not security.OpenProcessToken(
        ctypes.c_void_p(kernel.GetCurrentProcess()), 8, ctypes.byref(token)
    ):  # TOKEN_QUERY
        return ""
    statistics, size = (ctypes.c_uint32 * 14)(), ctypes.c_uint32()  # TOKEN_STATISTICS: TokenId, AuthenticationId, …
    found = security.GetTokenInformation(token, 10, statistics, ctypes.sizeof(statistics), ctypes.byref(size))
    kernel.CloseHandle(token)
    return f"{statistics[3]:x}-{statistics[2]:x}" if found else ""
