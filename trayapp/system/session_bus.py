"""Address of the session bus, also where the environment doesn't name it: ssh, cron, su, some window managers.

An address that the environment names is a choice and isn't second-guessed, unless this user has a bus too and it is
another user's, which `su` leaves there, or a socket that nobody listens at, which tmux and screen keep. Without one, the bus of the user's runtime directory is used if it is the user's own,
then the one that `systemd --user` knows, which a session started by dbus-launch may have told it. Loads nothing of
D-Bus, because the program calls it before its icon appears.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import stat
import time
from pathlib import Path
from urllib.parse import unquote

VARIABLE = "DBUS_SESSION_BUS_ADDRESS"
RUNTIME_DIRS = Path("/run/user")  # where systemd and elogind make them, for programs that aren't told
SYSTEMD_LIMIT = 2.0  # s; systemctl answers in milliseconds
SYSTEMD_AGAIN = 60.0  # s between two questions to systemd: whoever has no bus looks for one every few seconds
_SOCKET = re.compile(r"unix:(path|abstract)=([^,;]+)(?:,guid=[0-9a-f]+)?")
_NAMED = re.compile(rf"^{VARIABLE}=(unix:[^\s'\"$\\]+)$", re.MULTILINE)  # systemctl quotes what a shell would misread

log = logging.getLogger(__name__)


class _Found:
    """What this process found and put into its environment, and when systemd may be asked again."""

    address = ""
    ask_at = 0.0  # monotonic seconds


def address() -> str | None:
    """The address to connect to now; None if there is no session bus.

    One that was found is put into the environment, where libraries and child processes look. It is looked for anew each
    time, because the session may begin after us, or be another one.
    """
    named = os.environ.get(VARIABLE, "")
    what = "no"
    if named and named != _Found.address:
        what = _unusable(named)
        if not what:
            return named
    found = _in_runtime_dir() or _of_systemd() or named
    return _adopted(found, named, what) if found else None


def _adopted(found: str, named: str, what: str) -> str:
    if found != named:
        log.info("The environment names %s session bus; the one at %s is used.", what, found)
        _Found.address = os.environ[VARIABLE] = found
    return found


def _unusable(address: str) -> str:
    """What kind of bus nobody can mean by this address; empty unless all it lists are sockets of this machine."""
    if not hasattr(os, "getuid"):
        return ""
    sockets = [_SOCKET.fullmatch(each) for each in address.split(";") if each]
    kinds = {_problem(each[1], unquote(each[2])) if each else "" for each in sockets}
    return "" if "" in kinds else " or ".join(sorted(kinds))


def _problem(kind: str, name: str) -> str:
    """Why this user can't connect to a socket; empty if it's possible, or can't be told."""
    try:
        if kind == "path":
            found = Path(name).stat()
            if not stat.S_ISSOCK(found.st_mode):  # `/dev/null` is how some say that they want no bus
                return ""
            if found.st_uid != os.getuid():
                return "another user's"
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            client.connect(f"\0{name}" if kind == "abstract" else name)
    except PermissionError:  # in a directory that only they may enter
        return "another user's"
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return "a closed"
    except (OSError, ValueError):
        return ""
    return ""


def _in_runtime_dir() -> str:
    """The socket `bus` in the user's runtime directory; empty if there is none, or if it could be somebody else's."""
    directory = runtime_dir()
    if directory is None or not _is_own_socket(directory / "bus"):
        return ""
    return f"unix:path={_escaped(str(directory / 'bus'))}"


def _of_systemd() -> str:
    """What `systemd --user` tells the programs that it starts; empty if it knows nothing or isn't there."""
    directory = runtime_dir()
    if directory is None or not _is_own_socket(directory / "systemd" / "private"):
        return ""
    if time.monotonic() < _Found.ask_at:
        return _Found.address
    _Found.ask_at = time.monotonic() + SYSTEMD_AGAIN
    import subprocess  # only here: it takes milliseconds, and few sessions get this far

    with contextlib.suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
        shown = subprocess.run(
            ["systemctl", "--user", "show-environment"],
            env={**os.environ, "XDG_RUNTIME_DIR": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SYSTEMD_LIMIT,
            check=True,
            encoding="utf-8",
        )
        if named := _NAMED.search(shown.stdout):
            return named[1]
    return ""


def runtime_dir() -> Path | None:
    """The user's own runtime directory. After `su`, XDG_RUNTIME_DIR may still be that of the other user."""
    if not hasattr(os, "getuid"):
        return None
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    for directory in (Path(named), RUNTIME_DIRS / str(os.getuid())):
        if directory.is_absolute():
            with contextlib.suppress(OSError):
                found = directory.stat()
                if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
                    return directory
    return None


def _is_own_socket(path: Path) -> bool:
    """Whether nobody else can be behind it: whoever owns the bus reads what the keyring says."""
    try:
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.getuid()


def _escaped(path: str) -> str:
    """As the D-Bus specification wants values in addresses ("Server Addresses")."""
    return re.sub(rb"[^-0-9A-Za-z_/.]", lambda found: b"%%%02x" % found[0][0], os.fsencode(path)).decode()
