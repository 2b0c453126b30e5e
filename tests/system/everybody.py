"""Opening a file of Windows to everybody, as a careless administrator does."""

from __future__ import annotations

from pathlib import Path

from trayapp.system import windows_acl
from trayapp.system.windows_security import WindowsSecurity, load_security


def grant(path: Path) -> None:
    """Everyone may do everything with it, and so may its user."""
    security = load_security()
    assert isinstance(security, WindowsSecurity)
    entries = [windows_acl.own_list(who, directory=path.is_dir()) for who in (security.user(), windows_acl.EVERYONE)]
    body = b"".join(each[8:] for each in entries)
    both = bytes((2, 0)) + (8 + len(body)).to_bytes(2, "little") + bytes((2, 0, 0, 0)) + body
    security._set_list(path, both, 0x80000004)
