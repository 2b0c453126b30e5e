"""`catalog`, and the address that `add NAME` takes from it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from trayapp.catalog.lookup import BY_NAME, near, search
from trayapp.catalog.server import Server
from trayapp.cli.codes import OK, USAGE
from trayapp.cli.output import Style, clean, print_error, print_json, print_line
from trayapp.config.paths import Paths

DETAILED = 3  # servers that a search may find and still show with address, notes and source
EXAMPLE_PORT = 8400
OPENID = "openid"  # the account of a provider that isn't listed


def catalog(arguments: argparse.Namespace, paths: Paths) -> int:
    """Print the servers that match all the words."""
    words = " ".join(arguments.words)
    found = search(words)
    if arguments.format == "json":
        print_json([server.as_json() for server in found])
    elif not found:
        print_line(
            f"No server in the catalog matches: {clean(words)}\nAdd any server by its address: amberlight add NAME URL"
        )
    elif found[0].name == words.casefold():
        print_line(_details(found[0]))
        if others := found[1:]:
            print_line("\nAlso:\n" + _rows(others))
    elif len(found) <= DETAILED:
        print_line("\n\n".join(_details(server) for server in found))
    else:
        print_line(_rows(found))
        print_line(f"\n{len(found)} entries. Details: amberlight catalog NAME   Add one: amberlight add NAME")
    return OK


def take_address(arguments: argparse.Namespace) -> int:
    """Give `add NAME` the catalog's address; OK, or the exit code after a message. Nothing has been written yet."""
    name = arguments.name
    server = BY_NAME.get(name)
    if server is None:
        print_error(_unknown(name))
        return USAGE
    if server.needs_client and not arguments.client_id:
        print_error(_client_needed(server))
        return USAGE
    arguments.preset = server.entry()
    print_line(f"{server.title}: {_where(server)}" + (f"\n{server.notes}" if server.notes else ""))
    return OK


def take_account(arguments: argparse.Namespace) -> int:
    """The same for the account that `--account` names; `openid` is any other provider, by its issuer."""
    if arguments.account == OPENID:
        arguments.preset = {"kind": "account"}
        return OK
    server = BY_NAME[arguments.account]
    if not arguments.client_id:
        print_error(_client_needed(server, arguments.name))
        return USAGE
    arguments.preset = server.entry()
    print_line(f"{server.title}: {_where(server)}\n{server.notes}")
    return OK


def _where(server: Server) -> str:
    """Its address, or for an account the address of its sign-in server."""
    return server.url or str(server.keys.get("issuer") or server.keys["token_endpoint"])


def _unknown(name: str) -> str:
    similar = near(name)
    question = f" Did you mean {' or '.join(similar)}?" if similar else ""
    lines = [f"amberlight: {name} isn't in the catalog.{question}"]
    url = (BY_NAME[similar[0]].url if similar else "") or "URL"
    lines.append(f"Add it by its address: amberlight add {name} {url}")
    lines.append("See the catalog: amberlight catalog")
    return "\n".join(lines)


def _client_needed(server: Server, name: str = "") -> str:
    """What to do if the server doesn't register clients."""
    by_preset = f" --account {server.name}" if name and name != server.name else ""
    redirect = server.redirect.format(port=EXAMPLE_PORT)
    port = f" --redirect-port {EXAMPLE_PORT}" if redirect != server.redirect else ""
    lines = [
        f"amberlight: {server.title} needs a client ID of your own. Nothing was added.",
        f"Create one {server.client_from}" + (f", with the redirect address {redirect}" if redirect else ""),
        f"Then: {_add(server, f'{name or server.name}{by_preset}', port)}",
    ]
    if server.notes:
        lines.append(server.notes)
    lines.append(f"More from {server.vendor}: {server.source}")
    if server.url:
        lines.append(f"To try it without a client ID: amberlight add {server.name} {server.url}")
    return "\n".join(lines)


def _add(server: Server, name: str, port: str = "") -> str:
    """The command that adds it; `name` and `port` with their options."""
    if not server.needs_client:
        return f"amberlight add {name}"
    secret = "" if server.client_authentication == "none" else " --client-secret"
    perhaps = "   (without --client-secret if it has none)" if server.client_authentication == "optional" else ""
    return f"amberlight add {name} --client-id ID{secret}{port}{perhaps}"


def _details(server: Server) -> str:
    if server.url:
        facts = [("address", server.url), ("transport", "HTTP with SSE" if server.sse else "streamable HTTP")]
    else:
        facts = [("account at", _where(server)), ("scopes", " ".join(server.keys["scopes"]))]
    if server.needs_client:
        facts.append(("client ID", f"create one {server.client_from}"))
    if server.notes:
        facts.append(("note", server.notes))
    facts.append(("source", server.source))
    facts.append(("add it", _add(server, server.name)))
    width = max(len(word) for word, _ in facts)
    head = f"{server.name}  {server.title}: {server.about}"
    return "\n".join([head, *(f"  {word:<{width}}  {text}" for word, text in facts)])


def _rows(servers: Sequence[Server]) -> str:
    """One line for each server, no longer than the terminal is wide."""
    width = Style.of(sys.stdout, os.environ).width
    column = max(len(server.name) for server in servers)
    lines = [
        f"{server.name:<{column}}  {server.title}: {server.about}"
        + (" (needs a client ID)" if server.needs_client else "")
        for server in servers
    ]
    return "\n".join(f"{line[: width - 1]}…" if 0 < width < len(line) else line for line in lines)
