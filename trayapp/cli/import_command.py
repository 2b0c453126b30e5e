"""`amberlight import`: adds another app's servers as workloads, after showing them and asking.

Only configuration is imported, never a login. Another program's file is changed only if the person agrees, and a backup
is kept beside it. That needs the running app, which knows the proxy's address and the local keys.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from trayapp.cli.client import UNEXPECTED_ANSWER, ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.cli.connect import connect_names, joined
from trayapp.cli.errors import refuse_missing_file
from trayapp.cli.output import Style, clean, print_error, print_line
from trayapp.cli.questions import YES, can_ask, confirmed, typed
from trayapp.clients import files
from trayapp.clients.connecting import not_lasting_text
from trayapp.clients.jsonc import JsonError
from trayapp.clients.places import Machine
from trayapp.clients.survey import look
from trayapp.clients.table import BY_NAME, Syntax
from trayapp.config import editor
from trayapp.config.loader import ConfigError, Mistake
from trayapp.config.paths import Paths
from trayapp.importers import client_servers, mcp_json, proxy_edit, toolhive
from trayapp.importers.entries import ImportableEntry, SkippedEntry, assign_names

AT_ONCE = 500  # workloads of one request; the app answers others in between
LOGINS_STAY = (
    "Only the configuration is imported. ToolHive keeps its refresh tokens: two programs can't share a rotating token."
    "\nSign in here once, and stop the workload there: thv stop NAME"
)


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """`import toolhive`, `import mcp-json FILE` or `import --from CLIENT`."""
    try:
        if arguments.client is not None:
            return _from_client(arguments, paths)
        return _toolhive(arguments, paths) if arguments.source == "toolhive" else _mcp_json(arguments, paths)
    except files.FileError as error:
        print_error(f"amberlight: {clean(error)}")
        return FAILED


def _toolhive(arguments: argparse.Namespace, paths: Paths) -> int:
    folder = toolhive.folder(sys.platform, os.environ, Path.home())
    read = toolhive.entries(folder)
    if not read:
        print_error(f"amberlight: no ToolHive workloads found in {folder}")
        return FAILED
    entries = assign_names(
        (each for each in read if isinstance(each, ImportableEntry)), editor.limited_load(paths).workloads
    )
    print_line(f"ToolHive's remote workloads ({folder}):\n")
    _show(entries, [each for each in read if isinstance(each, SkippedEntry)], _local_servers_text(read.count(None)))
    if entries:
        print_line(f"\n{LOGINS_STAY}")
    code, _ = _add_chosen(arguments, paths, entries)
    return code


def _from_client(arguments: argparse.Namespace, paths: Paths) -> int:
    """Import from a client of the table; its file is found on its own."""
    client = BY_NAME[arguments.client]
    found = look(Machine.this(), client)
    if found.problem:
        raise files.FileError(found.problem)
    if client.syntax is Syntax.JSON and found.file.exists():
        return _mcp_json(arguments, paths, found.file)
    listed = client_servers.read(found.entries)
    entries = assign_names(listed.importable, editor.limited_load(paths).workloads)
    print_line(f"Remote servers of {client.title} ({clean(found.file)}):\n")
    _show(entries, listed.skipped, _local_servers_text(listed.local_count))
    code, names = _add_chosen(arguments, paths, entries)
    if code != OK or not names or arguments.keep_file:
        return code
    if arguments.dry_run:
        print_line(f"Would connect {joined(sorted(names))} to {client.title}.")
        return OK
    try:
        ApiClient.of(paths)
    except NotRunningError:
        print_line(
            f"To connect {client.title}, start Amberlight: amberlight run\nThen: amberlight connect {client.name}"
        )
        return OK
    if _chosen(arguments, [client.title], lambda title: f"\nConnect {title} to {joined(sorted(names))}?"):
        return connect_names(paths, client, sorted(names), replace=True)
    return OK


def _mcp_json(arguments: argparse.Namespace, paths: Paths, file: Path | None = None) -> int:
    contents = files.read(file or Path(arguments.file).expanduser().absolute())
    try:
        found = mcp_json.read(contents.text)
    except JsonError as error:
        raise files.FileError(f"{contents.file}: {error}") from None
    if not found.list_count:
        raise files.FileError(f"{contents.file} has no list of MCP servers (mcpServers or servers)")
    entries = assign_names((each for each, _ in found.importable), editor.limited_load(paths).workloads)
    print_line(f"Remote servers in {clean(contents.file)}:\n")
    _show(entries, found.skipped, _local_servers_text(found.local_count))
    code, names = _add_chosen(arguments, paths, entries)
    if code != OK or arguments.keep_file:
        return code
    servers = [
        (each.name, server) for each, (_, server) in zip(entries, found.importable, strict=True) if each.name in names
    ]
    return _point_at_proxy(arguments, paths, contents, servers) if servers else OK


def _local_servers_text(count: int) -> str:
    return (
        f"{count} more {'runs' if count == 1 else 'run'} on this machine and {'needs' if count == 1 else 'need'} no sign-in."
        if count
        else ""
    )


# --- showing ---------------------------------------------------------------------------------------------------------


def _show(entries: Sequence[ImportableEntry], skipped: Sequence[SkippedEntry], last_line: str) -> None:
    if entries:
        print_line(_table(entries))
    else:
        print_line("  None can be added.")
    lines = [f"  {_label(each)}: {clean(note.replace('NAME', each.name))}" for each in entries for note in each.notes]
    lines += [f"  Skipped {clean(each.name)}: {clean(each.reason)}." for each in skipped]
    if last_line:
        lines.append(f"  {last_line}")
    if lines:
        print_line("\n" + "\n".join(lines))


def _table(entries: Sequence[ImportableEntry]) -> str:
    rows = [("NAME", "URL", "")]
    for each in entries:
        there = f"named {each.original_name} there" if each.original_name != each.name else ""
        rows.append((_label(each), clean(each.url), "already added" if each.already_configured else clean(there)))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    width = Style.of(sys.stdout, os.environ).width
    if width and (over := sum(widths) + 6 - width) > 0:
        widths[1] = max(20, widths[1] - over)
    return "\n".join(
        f"  {'  '.join(_fit(cell, w) for cell, w in zip(row, widths, strict=True))}".rstrip() for row in rows
    )


def _label(entry: ImportableEntry) -> str:
    return entry.name or clean(entry.original_name)


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


# --- adding ----------------------------------------------------------------------------------------------------------


def _add_chosen(
    arguments: argparse.Namespace, paths: Paths, entries: Sequence[ImportableEntry]
) -> tuple[int, set[str]]:
    """Add the new entries that the person wants; the exit code, and the names of all entries configured now."""
    present = {each.name for each in entries if each.already_configured} & editor.limited_load(paths).workloads.keys()
    new = [each for each in entries if not each.already_configured]
    if arguments.dry_run:
        print_line("\n" + (f"Would add: {joined(each.name for each in new)}." if new else "Nothing new to add."))
        return OK, present | {each.name for each in new}
    if not new:
        print_line("\nNothing new to add.")
        return OK, present
    wanted = _chosen(arguments, [each.name for each in new], lambda names: f"\nAdd {names}?")
    if wanted is None:
        print_error("amberlight: to confirm, add --yes. To look first, add --dry-run.")
        return USAGE, present
    names = set(wanted)
    code, added = _add(paths, [each for each in new if each.name in names])
    return code, present | added


def _add(paths: Paths, entries: Sequence[ImportableEntry]) -> tuple[int, set[str]]:
    """Add these entries in one write; those that the configuration refuses are reported and left out."""
    if (code := refuse_missing_file(paths)) != OK:
        return code, set()
    wanted = {each.name: each.keys for each in entries}
    while wanted:
        try:
            editor.add_all(paths, wanted)
        except ConfigError as error:
            code = FAILED
            refused = _by_workload(error.mistakes)
            for name, mistakes in refused.items():
                about = f"{name} wasn't added" if name else "the configuration has mistakes"
                print_error(f"amberlight: {about}:\n" + "\n".join(f"  {clean(m)}" for m in mistakes))
            wanted = {name: keys for name, keys in wanted.items() if name not in refused} if "" not in refused else {}
        else:
            break
    added = set(wanted)
    if not added:
        print_line("Nothing was added.")
        return code, added
    print_line(f"Added {joined(sorted(added))} to {paths.config_file}.")
    try:
        answer = ApiClient.of(paths).reload()
    except NotRunningError:
        print_line("Start Amberlight: amberlight run")
    else:
        for sentence in (*(answer.get("errors") or ()), *(answer.get("warnings") or ())):
            print_error(f"amberlight: {clean(sentence)}")
        code = code if answer.get("ok") is True else FAILED
    print_line("Then sign in, once each:\n" + "\n".join(f"  amberlight reauthorize {name}" for name in sorted(added)))
    return code, added


def _by_workload(mistakes: Iterable[Mistake]) -> dict[str, list[Mistake]]:
    """The mistakes of each workload; under the empty name those that concern the whole file."""
    found: dict[str, list[Mistake]] = {}
    for mistake in mistakes:
        table, _, rest = mistake.key.partition(".")
        found.setdefault(rest.partition(".")[0] if table == "workloads" else "", []).append(mistake)
    return found


# --- the other program's file ----------------------------------------------------------------------------------------


def _point_at_proxy(
    arguments: argparse.Namespace,
    paths: Paths,
    contents: files.FileContents,
    servers: Sequence[tuple[str, mcp_json.ListedServer]],
) -> int:
    """Offer to change the other program's file so that it goes through the proxy."""
    file_name = clean(contents.file)
    names = list(dict.fromkeys(name for name, _ in servers))
    if arguments.dry_run:
        print_line(f"Would point {joined(names)} in {file_name} to Amberlight and keep a backup.")
        return OK
    try:
        client = ApiClient.of(paths)
    except NotRunningError:
        print_line(
            f"\n{file_name} is unchanged. To point it to Amberlight, start Amberlight (amberlight run) and import again."
        )
        return OK
    open_to_others = files.others_may_read(contents.file)
    promise = "A backup is kept, and only you can read the file then." if open_to_others else "A backup is kept."
    wanted = set(
        _chosen(arguments, names, lambda text: f"\nPoint {text} in {file_name} to Amberlight? {promise}") or ()
    )
    answers = _client_answers(client, [name for name in names if name in wanted])
    targets = [
        proxy_edit.ProxyEntry(server, entry)
        for name, server in servers
        if name in answers
        and (entry := _client_entry(answers[name], proxy_edit.client_name(contents.file, server.list_key)))
    ]
    if not targets:
        print_line(f"{file_name} is unchanged.")
        return OK if not wanted else FAILED
    try:
        text = proxy_edit.point_at_proxy(
            contents.text, targets, direct=contents.file.name in proxy_edit.DIRECT_CONFIG_FILES
        )
    except proxy_edit.ProxyEditError as error:
        print_error(f"amberlight: {file_name} is unchanged: {clean(error)}")
        return FAILED
    has_keys = any(target.headers for target in targets)
    backup = files.replace(contents, text, f"{datetime.now():%Y-%m-%d}", private=has_keys)
    print_line(f"Pointed {joined(target.server.name for target in targets)} to Amberlight.\nBackup: {backup}")
    print_line("Restart its client, or have it reload its servers.")
    if has_keys:
        _tell_of_keys(contents.file, open_to_others)
    return OK


def _client_answers(client: ApiClient, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """How each workload is reached, by name; those that can't be reached are reported and left out."""
    answers: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(names), AT_ONCE):
        asked = names[start : start + AT_ONCE]
        try:
            found = client.clients(asked).get("clients")
        except ApiError:  # one of them is unknown: find out which
            found = [answer for name in asked if (answer := _client_answer(client, name))]
        answers |= {str(each.get("name")): each for each in found or () if isinstance(each, Mapping)}
    lasting = {name: answer for name, answer in answers.items() if answer.get("lasting") is True}
    if len(lasting) < len(answers):  # the port is the same for all of them
        print_error(f"amberlight: {not_lasting_text(str(next(iter(answers.values())).get('url')))}")
    return lasting


def _client_answer(client: ApiClient, name: str) -> Mapping[str, Any] | None:
    try:
        return client.client(name)
    except ApiError as error:
        print_error(f"amberlight: {name} can't be reached through Amberlight yet: {clean(error)}")
        return None


def _client_entry(answer: Mapping[str, Any], program: str) -> Mapping[str, Any] | None:
    """A workload as an entry in the program's own format."""
    url, headers = answer.get("url"), answer.get("headers")
    if not isinstance(url, str) or not isinstance(headers, Mapping):
        print_error(f"amberlight: {UNEXPECTED_ANSWER}")
        return None
    kind = {} if program == "cursor" else {"type": str(answer.get("transport", "http"))}  # Cursor needs none
    return {**kind, "url": url} | ({"headers": dict(headers)} if headers else {})


def _tell_of_keys(file: Path, was_open: bool) -> None:
    """Say who can read the local keys that the file now contains."""
    if was_open:
        mode = " (mode 0600)" if os.name == "posix" else ""  # Windows has an access list
        print_error(f"amberlight: {file} now contains local keys, so only its owner can read it{mode}.")
    if any((folder / ".git").exists() for folder in file.resolve().parents):
        print_error(f"amberlight: {file} now contains local keys. Keep it and its backup out of version control.")


# --- asking ----------------------------------------------------------------------------------------------------------


def _chosen(
    arguments: argparse.Namespace, names: Sequence[str], question: Callable[[str], str]
) -> Sequence[str] | None:
    """The names that the person agrees to: all, none, or one by one. None without a terminal to ask in."""
    if arguments.yes:
        return names
    if not can_ask():
        return None
    if len(names) == 1:
        return names if confirmed(question(names[0])) else ()
    answer = typed(f"{question(joined(names))} [y]es, [n]o, [e]ach: ")
    if answer in ("e", "each"):
        return [name for name in names if confirmed(f"  {name}?")]
    return names if answer in YES else ()
