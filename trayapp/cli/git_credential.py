"""`amberlight git-credential`: git's helper protocol (gitcredentials(7)), answered with the token of an account.

Only `get` is answered, only for https and a host that an account names; for anything else git asks its other helpers or
the person. Nothing that git sends is kept: `store` and `erase` tell the app whether its token was accepted.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Mapping

from trayapp.cli.client import ApiClient
from trayapp.cli.codes import FAILED, OK
from trayapp.cli.output import clean, print_error, print_line
from trayapp.config.paths import Paths
from trayapp.core.model import ACCOUNT, Secret

INPUT_MAX = 64 << 10  # bytes; what git says is mostly the server's WWW-Authenticate headers
VALIDITY = 60.0  # s that the token has to be valid
WAIT = 5.0  # s for a refresh under way; a person may be looking on
USER = "oauth2"  # GitLab wants this one with a token, others take any
OPERATIONS = ("get", "store", "erase")  # gitcredentials(7): a helper ignores any other


def git_credential(arguments: argparse.Namespace, paths: Paths) -> int:
    """Do what git asks. Any exit code but 0 makes git go on without this helper, after a sentence."""
    if arguments.operation not in OPERATIONS:
        return OK
    said = _read()
    if isinstance(said, str):
        print_error(
            f"amberlight: the input isn't a git credential request: {said}. See `amberlight git-credential --help`"
        )
        return FAILED
    if said.get("protocol") != "https" or not said.get("host"):
        return OK
    client = ApiClient.of(paths)
    known = _accounts(client, arguments.name)
    if arguments.name and not known:
        print_error(f"amberlight: there's no account {arguments.name}. See: amberlight list --all")
        return FAILED
    host = _host(said["host"])
    names = [name for name in known if host in client.hosts(name)]
    if len(names) > 1:
        from trayapp.clients.connecting import joined

        print_error(f"amberlight: {joined(names)} name this host. Choose one: amberlight git-credential {names[0]}")
        return FAILED
    if not names:
        return OK
    if arguments.operation == "get":
        return _get(client, names[0], said.get("username", ""))
    if password := said.get("password"):
        client.token_used(names[0], Secret(password), accepted=arguments.operation == "store")
    return OK


def _get(client: ApiClient, name: str, user: str) -> int:
    from trayapp.cli.token_wait import token_or_code

    found = token_or_code(client, name, VALIDITY, WAIT)
    if isinstance(found, int):
        return found
    token, expires_at = found
    lines = [f"username={user or USER}", f"password={token.reveal()}"]
    if expires_at is not None:
        from trayapp.cli.output import parse_time

        lines.append(f"password_expiry_utc={int(parse_time(expires_at) or 0)}")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="strict", newline="\n")  # as git, on Windows, too
    print_line("\n".join(lines))
    return OK


def _accounts(client: ApiClient, wanted: str | None) -> list[str]:
    """All accounts, or the one of this name."""
    rows = [row for row in client.workloads() if row.get("kind") == ACCOUNT]
    return [str(row.get("name")) for row in rows if wanted in (None, row.get("name"))]


def _host(text: str) -> str:
    """As it stands in the configuration: without https's own port."""
    return text.lower().removesuffix(":443")


def _read() -> Mapping[str, str] | str:
    """Git's request, a line for each key, up to a blank line or the end; or why it is refused."""
    if sys.stdin is None:
        return "it's empty"
    content = b""
    while len(content) <= INPUT_MAX and (more := sys.stdin.buffer.readline(INPUT_MAX + 1)) not in (b"", b"\n"):
        content += more  # and not to the end: who asks may keep the pipe open
    if len(content) > INPUT_MAX:
        return "it's too long"
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return "it isn't UTF-8"
    said: dict[str, str] = {}
    for line in filter(None, lines):
        key, equals, value = line.partition("=")
        if not equals or any(ord(character) < 0x20 or ord(character) == 0x7F for character in line):
            return "it has a control character" if equals else "a line has no ="
        if key in said and not key.endswith("[]") and said[key] != value:
            return f"it gives {clean(key)} two values"
        said[key] = value
    return said
