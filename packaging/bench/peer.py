"""The peer of the benchmarks: email-oauth2-proxy with its GUI, the most similar program. Installs it and starts it.

    .venv/bin/python packaging/bench/peer.py DIRECTORY

installs it there, in an environment over the system's Python, as its tray icon needs GTK from the system (on Debian:
python3-venv python3-gi gir1.2-ayatanaappindicator3-0.1). The scripts look for it in AMBERLIGHT_BENCH_PEER or in the
user's cache directory, and install it there once if it is missing. A failure becomes a sentence in the table; our own
figures are still measured.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import platformdirs

PACKAGE = "emailproxy[gui]==2026.7.3"
PYTHON = "/usr/bin/python3"
INSTALL = ["install", "--quiet", "--upgrade", "--upgrade-strategy", "eager", PACKAGE]  # the newest libraries, as ours
NEEDS = "import gi; gi.require_version('AyatanaAppIndicator3', '0.1')"
CONFIG = """
[IMAP-{imap}]
server_address = 127.0.0.1
server_port = 9
local_address = 127.0.0.1

[SMTP-{smtp}]
server_address = 127.0.0.1
server_port = 9
server_starttls = False
local_address = 127.0.0.1

[someone@example.org]
permission_url = https://127.0.0.1:9/authorize
token_url = https://127.0.0.1:9/token
oauth2_scope = mail
redirect_uri = http://localhost
client_id = bench
client_secret = not-a-secret
"""


class PeerMissingError(Exception):
    """The peer is missing and cannot be installed; the text says why."""


def directory() -> Path:
    """The directory of its installation."""
    given = os.environ.get("AMBERLIGHT_BENCH_PEER")
    return Path(given) if given else platformdirs.user_cache_path("amberlight-bench") / "peer"


def command() -> list[str]:
    """Its command without arguments; installs it first if needed. Raises `PeerMissingError`."""
    program = directory() / "bin" / "emailproxy"
    if not program.exists():
        install(directory())
    return [str(program)]


def install(where: Path) -> None:
    """Create the environment with the peer. Raises `PeerMissingError`."""
    for what, words in (
        ("python3-gi and gir1.2-ayatanaappindicator3-0.1 are needed", [PYTHON, "-c", NEEDS]),
        ("no environment can be made", [PYTHON, "-m", "venv", "--system-site-packages", str(where)]),
        (f"{PACKAGE} cannot be installed", [str(where / "bin/pip"), *INSTALL]),
    ):
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PeerMissingError(f"peer missing: {what} ({error})") from None
        if done.returncode:
            raise PeerMissingError(f"peer missing: {what}: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


def own_python() -> str:
    """The Python that runs Amberlight: preferably that of a separate installation without test dependencies."""
    return os.environ.get("AMBERLIGHT_BENCH_PYTHON") or sys.executable


def arguments(root: Path) -> list[str]:
    """Its arguments, with a configuration written below `root`: a listener for each protocol, one account, no clients."""
    imap, smtp = free_ports(2)
    file = root / "emailproxy.config"
    file.write_text(CONFIG.format(imap=imap, smtp=smtp))
    return ["--config-file", str(file), "--log-file", str(root / "emailproxy.log")]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that were free when asked."""
    with_sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in with_sockets]
    for each in with_sockets:
        each.close()
    return ports


if __name__ == "__main__":
    try:
        install(Path(sys.argv[1]) if len(sys.argv) > 1 else directory())
    except PeerMissingError as problem:
        raise SystemExit(str(problem)) from None
