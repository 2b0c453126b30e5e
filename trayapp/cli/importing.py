"""`amberlight import`: what another program has configured becomes entries here, after a look and a yes.

Only configuration is taken. A file of another program is changed only where a person says so, with a copy beside it;
for that the app has to run, as it alone knows the proxy's address and the local keys.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.cli.output import Style, clean, complain, say
from trayapp.config.loader import ConfigError, load
from trayapp.config.paths import Paths
from trayapp.importers import files, mcp_json, proxy_edit, toolhive
from trayapp.importers.entries import ImportableEntry, SkippedEntry, assign_names
from trayapp.importers.jsonc import JsonError

RUN_CONFIG_MAX = 1 << 20  # bytes of one of ToolHive's files; they have a few thousand
OWNERS = (
    "Only the configuration moves. ToolHive's refresh tokens stay with ToolHive: two owners of one rotating token kill"
    " it.\nSo sign in here once, and stop the workload there: thv stop NAME"
)


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """`import toolhive` or `import mcp-json FILE`."""
    try:
        return _toolhive(arguments, paths) if arguments.source == "toolhive" else _mcp_json(arguments, paths)
    except files.FileError as error:
        complain(f"amberlight: {clean(error)}")
        return FAILED


def _toolhive(arguments: argparse.Namespace, paths: Paths) -> int:
    folder = toolhive.folder(sys.platform, os.environ, Path.home())
    found = sorted(folder.glob("*.json"))
    if not found:
        complain(f"amberlight: ToolHive has no workloads here ({folder})")
        return FAILED
    read = [_run_config(file) for file in found]
    offers = assign_names((each for each in read if isinstance(each, ImportableEntry)), load(paths, {}).workloads)
    say(f"ToolHive's remote workloads ({folder}):\n")
    _show(offers, [each for each in read if isinstance(each, SkippedEntry)], _local_words(read.count(None)))
    if offers:
        say(f"\n{OWNERS}")
    code, _ = _take(arguments, paths, offers)
    return code


def _run_config(file: Path) -> ImportableEntry | SkippedEntry | None:
    try:
        return toolhive.read(file.stem, files.read(file, RUN_CONFIG_MAX).text)
    except files.FileError as error:
        return SkippedEntry(file.name, str(error))


def _mcp_json(arguments: argparse.Namespace, paths: Paths) -> int:
    contents = files.read(Path(arguments.file).expanduser().absolute())
    try:
        found = mcp_json.read(contents.text)
    except JsonError as error:
        raise files.FileError(f"{contents.file}: {error}") from None
    if not found.list_count:
        raise files.FileError(f"{contents.file} has no list of MCP servers (mcpServers or servers)")
    offers = assign_names((each for each, _ in found.importable), load(paths, {}).workloads)
    say(f"Remote servers in {clean(contents.file)}:\n")
    _show(offers, found.skipped, _local_words(found.local_count))
    code, names = _take(arguments, paths, offers)
    if code != OK or arguments.keep_file:
        return code
    servers = [
        (each.name, server) for each, (_, server) in zip(offers, found.importable, strict=True) if each.name in names
    ]
    return _point(arguments, paths, contents, servers) if servers else OK


def _local_words(count: int) -> str:
    return (
        f"{count} more {'runs' if count == 1 else 'run'} on this machine and {'needs' if count == 1 else 'need'} no login."
        if count
        else ""
    )


# --- looking ---------------------------------------------------------------------------------------------------------


def _show(offers: Sequence[ImportableEntry], passed: Sequence[SkippedEntry], rest: str) -> None:
    if offers:
        say(_table(offers))
    else:
        say("  There is none that can be taken.")
    lines = [f"  {each.name}: {clean(note.replace('NAME', each.name))}" for each in offers for note in each.notes]
    lines += [f"  Passed over {clean(each.name)}: {clean(each.reason)}." for each in passed]
    if rest:
        lines.append(f"  {rest}")
    if lines:
        say("\n" + "\n".join(lines))


def _table(offers: Sequence[ImportableEntry]) -> str:
    rows = [("NAME", "URL", "")]
    for each in offers:
        there = f"called {each.original_name} there" if each.original_name != each.name else ""
        rows.append((each.name, clean(each.url), "is here already" if each.already_configured else clean(there)))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    width = Style.of(sys.stdout, os.environ).width
    if width and (over := sum(widths) + 6 - width) > 0:
        widths[1] = max(20, widths[1] - over)
    return "\n".join(
        f"  {'  '.join(_fit(cell, w) for cell, w in zip(row, widths, strict=True))}".rstrip() for row in rows
    )


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


# --- taking ----------------------------------------------------------------------------------------------------------


def _take(arguments: argparse.Namespace, paths: Paths, offers: Sequence[ImportableEntry]) -> tuple[int, set[str]]:
    """Add what is new and wanted; the exit code, and the names of all offers that are configured now."""
    here = {each.name for each in offers if each.already_configured} & load(paths, {}).workloads.keys()
    new = [each for each in offers if not each.already_configured]
    if arguments.dry_run:
        say("\n" + (f"Would add: {_listed(each.name for each in new)}." if new else "There is nothing new to add."))
        return OK, here | {each.name for each in new}
    if not new:
        say("\nThere is nothing new to add.")
        return OK, here
    wanted = _chosen(arguments, [each.name for each in new], lambda names: f"\nTake {names}?")
    if wanted is None:
        complain("amberlight: say that you agree with --yes, or look first with --dry-run")
        return USAGE, here
    code, added = _add(paths, [each for each in new if each.name in wanted])
    return code, here | added


def _add(paths: Paths, offers: Sequence[ImportableEntry]) -> tuple[int, set[str]]:
    from trayapp.config import editor

    code, added = OK, set()
    for each in offers:
        try:
            editor.add(paths, each.name, each.keys)
        except ConfigError as error:
            code = FAILED
            complain(f"amberlight: {each.name} was not added:\n" + "\n".join(f"  {clean(m)}" for m in error.mistakes))
        else:
            added.add(each.name)
    if not added:
        say("Nothing was added.")
        return code, added
    say(f"Added {_listed(sorted(added))} to {paths.config_file}.")
    try:
        answer = ApiClient.find(paths.runtime_dir).reload()
    except NotRunningError:
        say("Start Amberlight with: amberlight run")
    else:
        for sentence in (*(answer.get("errors") or ()), *(answer.get("warnings") or ())):
            complain(f"amberlight: {clean(sentence)}")
        code = code if answer.get("ok") is True else FAILED
    say("Then sign in, once each:\n" + "\n".join(f"  amberlight reauthorize {name}" for name in sorted(added)))
    return code, added


# --- pointing --------------------------------------------------------------------------------------------------------


def _point(
    arguments: argparse.Namespace,
    paths: Paths,
    contents: files.FileContents,
    servers: Sequence[tuple[str, mcp_json.ListedServer]],
) -> int:
    """Offer to send the other program through the proxy."""
    shown = clean(contents.file)
    names = list(dict.fromkeys(name for name, _ in servers))
    if arguments.dry_run:
        say(f"Would point {_listed(names)} in {shown} at Amberlight, and keep a copy of the file.")
        return OK
    try:
        client = ApiClient.find(paths.runtime_dir)
    except NotRunningError:
        say(f"\n{shown} was left as it is. To send its program through Amberlight, start that and import once more.")
        return OK
    wanted = _chosen(arguments, names, lambda text: f"\nSend {shown} through Amberlight for {text}? A copy is kept.")
    targets = [
        proxy_edit.ProxyEntry(server, entry)
        for name, server in servers
        if name in (wanted or ())
        and (entry := _entry(client, name, proxy_edit.client_name(contents.file, server.list_key)))
    ]
    if not targets:
        say(f"{shown} was left as it is.")
        return OK if not wanted else FAILED
    try:
        text = proxy_edit.point_at_proxy(
            contents.text, targets, direct=contents.file.name in proxy_edit.DIRECT_CONFIG_FILES
        )
    except proxy_edit.ProxyEditError as error:
        complain(f"amberlight: {shown} was left as it is: {clean(error)}")
        return FAILED
    backup = files.replace(contents, text, f"{datetime.now():%Y-%m-%d}")
    say(f"{_listed(target.server.name for target in targets)} now go through Amberlight.\nThe old file: {backup}")
    say("Restart the program that reads it, or let it read its servers again.")
    _warn(contents.file, any(target.headers for target in targets))
    return OK


def _entry(client: ApiClient, name: str, program: str) -> Mapping[str, Any] | None:
    """What `client-config` prints for one, as the program's own entry."""
    try:
        answer = client.client(name)
    except ApiError as error:
        complain(f"amberlight: {name} cannot be reached through Amberlight yet: {clean(error)}")
        return None
    if answer.get("lasting") is not True:
        complain(f"amberlight: {name}: the port is another one after the next start; set a fixed port in config.toml")
        return None
    try:
        whole = json.loads(answer["settings"][program])
        entry = next(iter(whole.values()))[name]
        return entry if isinstance(entry["url"], str) else None
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        complain(f"amberlight: the app's answer holds no settings for {program}; is it another version?")
        return None


def _warn(file: Path, keys: bool) -> None:
    """Where the local keys that are in the file now could be seen by others."""
    if not keys:
        return
    if os.name == "posix" and file.stat().st_mode & 0o077:
        complain(f"amberlight: {file} holds local keys now, and others on this machine can read it: chmod 600 it")
    if any((folder / ".git").exists() for folder in file.resolve().parents):
        complain(f"amberlight: {file} holds local keys now: keep it and its copy out of version control")


# --- asking ----------------------------------------------------------------------------------------------------------


def _chosen(
    arguments: argparse.Namespace, names: Sequence[str], question: Callable[[str], str]
) -> Sequence[str] | None:
    """Those that a person agrees to: all, none or each by itself. None: there is nobody to ask."""
    if arguments.yes:
        return names
    if not sys.stdin.isatty():
        return None
    if len(names) == 1:
        return names if _answer(f"{question(names[0])} [y/N] ") in ("y", "yes") else ()
    answer = _answer(f"{question(_listed(names))} [y]es, [n]o, [e]ach by itself: ")
    if answer in ("e", "each"):
        return [name for name in names if _answer(f"  {name}? [y/N] ") in ("y", "yes")]
    return names if answer in ("y", "yes") else ()


def _answer(question: str) -> str:
    sys.stdout.write(question)
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower()


def _listed(names: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    each = [clean(name) for name in names]
    return " and ".join([", ".join(each[:-1]), each[-1]]) if len(each) > 1 else "".join(each)
