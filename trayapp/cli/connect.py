"""`amberlight connect` and `disconnect`: write workloads into the files of MCP clients, and remove them again.

A local key is never put on a command line or into a project's file. There, and with `--stdio`, the client starts
`amberlight stdio NAME`, which reads the key itself.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from trayapp.autostart import client_command
from trayapp.cli.client import UNEXPECTED_ANSWER, ApiClient
from trayapp.cli.client_config import outage_text
from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.cli.output import clean, print_error, print_json, print_line
from trayapp.cli.questions import can_ask, confirmed
from trayapp.clients import connecting, refusals
from trayapp.clients.changes import Changes, read
from trayapp.clients.connecting import ALL, Edit, Written, connections
from trayapp.clients.connections import STALE, Connection, State, own_entries
from trayapp.clients.difference import difference
from trayapp.clients.edits import EditError
from trayapp.clients.entries import ALL_NAME, Access
from trayapp.clients.files import FileError
from trayapp.clients.places import Machine
from trayapp.clients.projects import everywhere
from trayapp.clients.survey import Found, look, survey
from trayapp.clients.table import BY_NAME, TABLE, Client
from trayapp.config import editor
from trayapp.config.paths import Paths
from trayapp.core.model import Secret
from trayapp.core.sentences import no_address

WORDS: Mapping[State, str] = {
    State.CONNECTED: "connected",
    State.OLD_PORT: "old port",
    State.OLD_KEY: "old key",
    State.DIRECT: "separate sign-in",
    State.NAME_TAKEN: "name taken",
    State.ABSENT: "-",
}


def connect(arguments: argparse.Namespace, paths: Paths) -> int:
    """Without a client, show what is connected. Otherwise write the entries; exit code 0 if all of them are there now."""
    machine = Machine.this()
    if arguments.client is None:
        return _overview(arguments, paths, machine)
    client = BY_NAME[arguments.client]
    workloads = editor.limited_load(paths).workloads
    urls = {name: spec.url for name, spec in workloads.items() if spec.url}
    if account := next((name for name in arguments.names if name in workloads and name not in urls), None):
        print_error(f"amberlight: {no_address(account)}")
        return FAILED
    wanted = [ALL] if arguments.all else arguments.names or sorted(urls)
    if unknown := [name for name in wanted if name != ALL and name not in urls]:
        print_error(f"amberlight: there's no workload {clean(unknown[0])}. See: amberlight list --all")
        return FAILED
    if not wanted:
        print_error("amberlight: there are no workloads yet. Add one: amberlight add NAME URL")
        return FAILED
    file = _project_file(client, arguments)
    if file is None and arguments.project is not None:
        print_error(f"amberlight: {client.title} has no project file. Leave out --project.")
        return USAGE
    found = look(machine, client, file)
    if found.problem:
        print_error(f"amberlight: {clean(found.problem)}.")
        return FAILED
    if not found.installed and file is None:
        print_line(f"{client.title} doesn't seem to be installed. Writing its file anyway.")
    stdio = arguments.stdio or file is not None
    ready: dict[str, Access] = {}
    for name in wanted:
        if (access := access_of(paths, name, stdio=stdio or client.url is None)) is None:
            return FAILED
        ready[name] = access if file is None else connecting.portable(access, shutil.which)
    targets = _targets(arguments, found, ready, urls)
    code = OK if len(targets) == len(ready) else FAILED
    return max(code, _write(arguments, paths, found, targets, stdio=stdio)) if targets else code


def disconnect(arguments: argparse.Namespace, paths: Paths) -> int:
    """Remove our entries: from one client or from all, for some workloads or for all."""
    wanted = (
        None if not arguments.names and not arguments.all else {*arguments.names, *([ALL] if arguments.all else [])}
    )
    code, any_found = OK, False
    for found in _places(arguments, paths):
        client = found.client
        if found.problem and arguments.client is not None:
            print_error(f"amberlight: {clean(found.problem)}.")
            return FAILED
        names = [each.name for each in own_entries(found.entries, wanted)]
        if not names:
            continue
        any_found = True
        done = clean(connecting.disconnected_text(client, names, _short(found.file)))
        code = max(code, _apply(arguments, paths, found, connecting.drop_all(client, wanted), done))
    if not any_found:
        print_line("Nothing to disconnect: no Amberlight entries found.")
    return code


def _places(arguments: argparse.Namespace, paths: Paths) -> list[Found]:
    """The files that `disconnect` looks at: the client's, or everybody's with those of projects that we wrote to."""
    machine = Machine.this()
    if arguments.client is not None:
        client = BY_NAME[arguments.client]
        return [look(machine, client, _project_file(client, arguments))]
    if arguments.project is not None:
        return [look(machine, each, _project_file(each, arguments)) for each in TABLE if each.project is not None]
    return everywhere(machine, changes_of(paths))


def connect_names(
    paths: Paths, client: Client, names: Sequence[str], *, replace: bool = False, stdio: bool = False
) -> int:
    """`connect CLIENT NAME…` for other commands; `replace`: the person has agreed to that."""
    given = argparse.Namespace(
        client=client.name,
        names=list(names),
        all=False,
        project=None,
        dry_run=False,
        stdio=stdio,
        replace=replace,
        format="text",
    )
    return connect(given, paths)


# --- shared with other commands --------------------------------------------------------------------------------------


def access_of(paths: Paths, name: str, *, stdio: bool = False, lasting: bool = True) -> Access | None:
    """How clients reach a workload, or all (`ALL`); None after an error was printed.

    With `stdio` no app is needed. `lasting`: an address that changes with the next start is an error.
    """
    shown = name or ALL_NAME
    command = client_command("stdio", *([name] if name else ["--all"]))
    if stdio:
        return Access(shown, "", None, command)
    client = ApiClient.of(paths)
    answer = client.client(name) if name else client.aggregate()
    url, headers = answer.get("url"), answer.get("headers")
    if not isinstance(url, str) or not isinstance(headers, Mapping):
        print_error(f"amberlight: {UNEXPECTED_ANSWER}")
        return None
    if lasting and answer.get("lasting") is not True:
        print_error(f"amberlight: {outage_text(client) or connecting.not_lasting_text(url)}")
        return None
    key = str(headers.get("Authorization", "")).removeprefix("Bearer ")
    return Access(shown, url, Secret(key) if key else None, command, sse=answer.get("transport") == "sse")


def joined(names: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return connecting.joined(clean(name) for name in names)


# --- showing ---------------------------------------------------------------------------------------------------------


def _overview(arguments: argparse.Namespace, paths: Paths, machine: Machine) -> int:
    """Each installed client with what it has of each workload."""
    urls = {name: spec.url for name, spec in editor.limited_load(paths).workloads.items() if spec.url}
    accesses = {name: access for name in sorted(urls) if (access := access_of(paths, name, lasting=False)) is not None}
    rows = [(found, connections(found, accesses, urls)) for found in survey(machine) if found.installed]
    if arguments.format == "json":
        print_json([_row(found, some) for found, some in rows])
        return OK
    if not rows:
        print_line("No known MCP clients are installed. To connect one anyway: amberlight connect CLIENT")
        return OK
    width = max(len(found.client.name) for found, _ in rows)
    for found, some in rows:
        print_line(f"{found.client.name:{width}}  {clean(_summary(found, some))}")
    stale = [found.client.name for found, some in rows if any(each.state in STALE for each in some)]
    todo = stale or [found.client.name for found, some in rows if any(each.state is State.ABSENT for each in some)]
    if todo and accesses:
        print_line(f"\nConnect: amberlight connect {todo[0]}")
    return OK


def _summary(found: Found, some: Sequence[Connection]) -> str:
    """One line on a client: "notion, linear: connected; github: separate sign-in"."""
    if found.problem:
        return found.problem
    parts = []
    for state in (State.CONNECTED, State.OLD_PORT, State.OLD_KEY, State.DIRECT, State.NAME_TAKEN):
        if names := [each.workload for each in some if each.state is state]:
            parts.append(f"{', '.join(names)}: {WORDS[state]}")
    if any(each.proxied == ALL for each in own_entries(found.entries)):
        parts.append("single entry for all workloads")
    return "; ".join(parts) or "not connected"


def _row(found: Found, some: Sequence[Connection]) -> dict[str, Any]:
    return {
        "client": found.client.name,
        "title": found.client.title,
        "file": str(found.file),
        "problem": found.problem or None,
        "workloads": {each.workload: each.state.value for each in some},
    }


# --- writing ---------------------------------------------------------------------------------------------------------


def _project_file(client: Client, arguments: argparse.Namespace) -> Path | None:
    if arguments.project is None or client.project is None:
        return None
    return Path(arguments.project).expanduser().absolute() / client.project


def _targets(
    arguments: argparse.Namespace, found: Found, accesses: Mapping[str, Access], urls: Mapping[str, str]
) -> Mapping[str, Access]:
    """The entries to write, by name, except those whose place another entry keeps."""
    title = clean(found.client.title)
    planned = connecting.plan(
        found,
        accesses,
        urls,
        lambda there: _agreed(arguments, f"{clean(connecting.kept_because(title, there))} Replace it?"),
    )
    for there in planned.kept:
        fact = clean(connecting.kept_because(title, there))
        print_error(f"amberlight: {fact} To replace it, add --replace.")
    return planned.targets


def _agreed(arguments: argparse.Namespace, question: str) -> bool:
    if arguments.replace:
        return True
    if not can_ask() or arguments.dry_run:
        return False
    return confirmed(question)


def _write(
    arguments: argparse.Namespace,
    paths: Paths,
    found: Found,
    targets: Mapping[str, Access],
    *,
    stdio: bool,
) -> int:
    client = found.client
    names = [access.name for access in targets.values()]
    done = clean(connecting.connected_text(client, names, _short(found.file)))
    code = _apply(arguments, paths, found, connecting.put_all(client, targets, stdio=stdio), done)
    if code == OK and not arguments.dry_run:
        refusals.forget(Machine.this(), client, targets)
    return code


def _apply(
    arguments: argparse.Namespace,
    paths: Paths,
    found: Found,
    edit: Edit,
    done: str,
) -> int:
    """Show the difference, or write the change."""
    try:
        if arguments.dry_run:
            before = read(found.client, found.file).text
            lines = difference(found.client, before, edit(before))
            print_line(f"{_short(found.file)} would {'change:' if lines else 'not change.'}")
            for line in lines:
                print_line(clean(line))
            return OK
        written = connecting.write(changes_of(paths), found.client, found.file, edit)
        if written is Written.UNCHANGED:
            print_line(connecting.unchanged_text(_short(found.file)))
            return OK
        if written is Written.OVERWRITTEN:
            print_error(f"amberlight: {connecting.overwritten_text(found.client)}")
            return FAILED
        print_line(done)
        if note := connecting.running_text(found.client):
            print_line(note)
    except (FileError, EditError) as error:
        print_error(f"amberlight: {clean(error)}.")
        return FAILED
    return OK


def changes_of(paths: Paths) -> Changes:
    return Changes(paths.state_dir, lambda: f"{datetime.now():%Y-%m-%d}")


def _short(file: Path) -> str:
    """The path as people write it."""
    return connecting.short(file, Path.home())
