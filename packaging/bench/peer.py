"""The peer of the benchmarks: email-oauth2-proxy with its GUI, the most similar program. Installs it and starts it.

Amberlight runs in an installation of its own too (`own_python`), so that both have the system's interpreter and nothing
that only the tests need.

    .venv/bin/python packaging/bench/peer.py DIRECTORY

installs it there, in an environment over the system's Python, as its tray icon needs GTK from the system (on Debian:
python3-venv python3-gi gir1.2-ayatanaappindicator3-0.1). The scripts look for it in AMBERLIGHT_BENCH_PEER or in the
user's cache directory, and install it there once if it is missing. A failure becomes a sentence in the table; our own
figures are still measured.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "packaging/constraints.txt"
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


def cached(name: str) -> Path:
    """Where the user's cache has an installation."""
    return platformdirs.user_cache_path("amberlight-bench") / name


def directory() -> Path:
    """The directory of its installation."""
    given = os.environ.get("AMBERLIGHT_BENCH_PEER")
    return Path(given) if given else cached("peer")


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
        if problem := failed(words):
            raise PeerMissingError(f"peer missing: {what}: {problem}")


def failed(words: list[str]) -> str:
    """Run a command; returns why it failed, and nothing if it did not."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ((done.stderr or done.stdout).strip() or "no output").splitlines()[-1] if done.returncode else ""


@cache
def own_python() -> str:
    """The Python that runs Amberlight: of an installation with its dependencies alone, made like the peer's if missing.

    In an environment for the tests, libraries load what only the tests need: httpx2 loads trio if it is there, which is
    3.5 MB. Amberlight itself comes from this checkout, by PYTHONPATH.
    """
    if given := os.environ.get("AMBERLIGHT_BENCH_PYTHON"):
        return given
    needed: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    state = hashlib.sha256("\n".join([*needed, CONSTRAINTS.read_text(encoding="utf-8")]).encode()).hexdigest()
    where = cached(f"own-{state[:12]}")
    python, complete = where / "bin/python", where / "complete"
    if not complete.exists():
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(CONSTRAINTS)]
        for words in ([PYTHON, "-m", "venv", "--clear", str(where)], [*pip, *needed]):
            if problem := failed(words):
                print(f"no installation of our own, measured with {sys.executable} instead: {problem}", file=sys.stderr)
                return sys.executable
        complete.touch()
    return str(python)


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
