"""`amberlight uninstall`: undo what Amberlight set up on this machine, and say what is left.

Clients are disconnected first, because that is what would break. Logins are deleted by the running app, which revokes
them; files go last, because without them nobody finds a login that couldn't be deleted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from trayapp.autostart import AutostartError, Kind, native
from trayapp.cli import connect
from trayapp.cli.actions import quit_running
from trayapp.cli.add_command import REMOVAL_LIMIT, left_over_texts
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, NOT_RUNNING, OK, USAGE
from trayapp.cli.output import clean, print_error, print_json, print_line
from trayapp.cli.questions import can_ask, confirmed
from trayapp.clients.connections import own_entries
from trayapp.clients.places import Machine
from trayapp.clients.projects import everywhere
from trayapp.config import quit_marker
from trayapp.config.editor import limited_load
from trayapp.config.loader import ConfigError
from trayapp.config.paths import Paths
from trayapp.system.activation import forget_app

POLL = 0.3  # s


@dataclass(slots=True)
class _Plan:
    """What there is to undo."""

    clients: list[str]  # titles of those that have our entries
    client: ApiClient | None  # the running app
    names: list[str]  # workloads
    autostart: bool
    logins: bool = False
    files: bool = False
    left: list[str] = field(default_factory=list)
    failed: bool = False

    def steps(self) -> list[str]:
        """What will be done, a line each."""
        lines = []
        if self.clients:
            lines.append(f"take Amberlight's entries out of {connect.joined(self.clients)}")
        if self.logins and self.names:
            lines.append(f"revoke and delete the logins of {_named(self.names)}, and remove these workloads")
        if self.autostart:
            lines.append("turn off start at login")
        if self.client is not None:
            lines.append("quit Amberlight")
        if self.files:
            lines.append("delete the configuration, history, local keys and log")
        return lines


def uninstall(arguments: argparse.Namespace, paths: Paths) -> int:
    if not arguments.yes and not can_ask():
        print_error("amberlight: uninstall asks before it changes anything. To confirm, add --yes.")
        return USAGE
    plan = _look(arguments, paths)
    if plan.logins and plan.names and plan.client is None:
        print_error("amberlight: only a running Amberlight can revoke logins. Start it: amberlight run --background")
        return NOT_RUNNING
    if not arguments.yes and not _agreed(plan):
        print_line("Nothing was changed.")
        return OK
    done = io.StringIO()
    with contextlib.redirect_stdout(done) if arguments.format == "json" else contextlib.nullcontext():
        _carry_out(plan, paths)
        _say_left(plan, paths)
    if arguments.format == "json":
        print_json({"message": "Uninstalled.", "done": done.getvalue().splitlines(), "left": plan.left})
    elif plan.left:
        print_line("\n".join(["", "What is left:", *(f"  {line}" for line in plan.left)]))
    return FAILED if plan.failed else OK


def _look(arguments: argparse.Namespace, paths: Paths) -> _Plan:
    places = everywhere(Machine.this(), connect.changes_of(paths))
    found = [each for each in places if not each.problem and own_entries(each.entries, None)]
    client: ApiClient | None = None
    with contextlib.suppress(NotRunningError):
        client = ApiClient.of(paths)
    names = [str(row.get("name")) for row in client.workloads()] if client else _configured(paths)
    status = native().status()
    return _Plan(
        list(dict.fromkeys(clean(each.client.title) for each in found)),
        client,
        names,
        status.kind is not Kind.OFF,
        logins=arguments.logins,
        files=arguments.files,
    )


def _configured(paths: Paths) -> list[str]:
    try:
        return sorted(limited_load(paths).workloads)
    except (ConfigError, OSError):
        return []


def _named(names: Sequence[str]) -> str:
    return connect.joined(names) if len(names) <= 5 else f"{len(names)} workloads"


# --- asking ----------------------------------------------------------------------------------------------------------


def _agreed(plan: _Plan) -> bool:
    """Ask about the logins and files that no option named, show the steps, and ask for them."""
    if not plan.logins and plan.client is not None and plan.names:
        plan.logins = confirmed(f"Also revoke and delete the logins of {_named(plan.names)}?")
        plan.files = plan.logins and confirmed("Also delete the configuration, history and log?")
    steps = plan.steps()
    if not steps:
        return True
    print_line("\n".join(["This will:", *(f"  - {line}" for line in steps)]))
    return confirmed("Continue?")


# --- doing -----------------------------------------------------------------------------------------------------------


def _carry_out(plan: _Plan, paths: Paths) -> None:
    if plan.clients:
        everything = argparse.Namespace(client=None, names=[], all=False, project=None, dry_run=False)
        plan.failed |= connect.disconnect(everything, paths) != OK
    kept = _delete_logins(plan) if plan.logins and plan.client is not None else []
    if plan.autostart:
        try:
            native().off()
            print_line("Amberlight no longer starts at login.")
        except AutostartError as error:
            _fail(plan, clean(error))
    gone = plan.client is None or _quit(plan, plan.client, paths)
    with contextlib.suppress(OSError):
        forget_app()
    if plan.files and kept:
        plan.left.append("The files, so that Amberlight can delete these logins when it runs the next time.")
    elif plan.files and gone:
        _delete_files(plan, paths)


def _fail(plan: _Plan, text: str) -> None:
    print_error(f"amberlight: {text}")
    plan.failed = True


def _delete_logins(plan: _Plan) -> list[str]:
    """Have the app remove all workloads; the names of those whose login is still in the keyring."""
    client = plan.client
    if client is None or not plan.names:
        return []
    try:
        client.several("delete", plan.names)
        until = time.monotonic() + REMOVAL_LIMIT
        while (rows := client.workloads()) and time.monotonic() < until:
            time.sleep(POLL)
        removals = client.app().get("removals")
    except (ApiError, NotRunningError) as error:
        _fail(plan, clean(error))
        return plan.names
    names = [str(row.get("name")) for row in rows]
    if names:
        _fail(plan, f"{_named(names)} couldn't be removed in time. See: amberlight logs")
    rest = left_over_texts(removals, quits=True)
    if removed := [name for name in plan.names if name not in names]:
        logins = "" if rest else " and its login" if len(removed) == 1 else " and their logins"
        print_line(f"Removed {_named(removed)}{logins}.")
    plan.left += rest
    undeleted = [each for each in removals if _undeleted(each)] if isinstance(removals, list) else []
    return [*names, *(str(each.get("name")) for each in undeleted)]


def _undeleted(removal: object) -> bool:
    return isinstance(removal, Mapping) and removal.get("deleted") is False


def _quit(plan: _Plan, client: ApiClient, paths: Paths) -> bool:
    try:
        gone = quit_running(client, paths)
    except (ApiError, NotRunningError) as error:
        _fail(plan, clean(error))
        return False
    if gone:
        print_line("Amberlight has quit.")
    else:
        _fail(plan, f"Amberlight (process {client.pid}) is still quitting. See: amberlight logs")
    return gone


def _delete_files(plan: _Plan, paths: Paths) -> None:
    """Our own directories, and of the settings' directory, which may hold other files, only our file."""
    try:
        drafts = paths.config_file.parent.glob(f".{paths.config_file.name}.{'[0-9a-f]' * 8}")  # of a write cut short
        for file in (paths.config_file, paths.config_file.with_name(paths.install_file.name), *drafts):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            paths.config_file.parent.rmdir()
        for directory in paths.own_directories:
            if directory.exists():
                shutil.rmtree(directory)
    except OSError as error:
        _fail(plan, f"{error.filename or paths.state_dir} can't be deleted: {error.strerror}.")
    else:
        print_line("Deleted the configuration, history, local keys and log.")
        if not paths.runtime_dir.is_relative_to(paths.state_dir):  # it ends with the login, and so does the marker
            quit_marker.mark(paths)  # or a client that still runs would start Amberlight again


# --- what is left ----------------------------------------------------------------------------------------------------


def _say_left(plan: _Plan, paths: Paths) -> None:
    if plan.names and not plan.logins:
        plan.left.append(
            f"The logins of {_named(plan.names)}, in the keyring. Delete them: amberlight uninstall --logins"
        )
    places = [paths.config_file, *dict.fromkeys((paths.state_dir, paths.data_dir, paths.log_file.parent))]
    if there := [place for place in places if place.exists() and not _inside(place, places)]:
        plan.left.append(f"Files: {', '.join(clean(place) for place in there)}")
    if paths.site_config_file.exists():
        plan.left.append(f"The site-wide {clean(paths.site_config_file)}, which an administrator manages.")
    plan.left.append(f"The program itself. {remove_program()}")


def _inside(place: Path, places: Sequence[Path]) -> bool:
    return any(other != place and other in place.parents for other in places)


def remove_program(
    prefix: str = sys.prefix,
    executable: str = sys.executable,
    *,
    frozen: bool | None = None,
    platform: str = sys.platform,
) -> str:
    """How to remove the installed program."""
    is_frozen = bool(getattr(sys, "frozen", False)) if frozen is None else frozen
    path = PureWindowsPath if platform == "win32" else PurePosixPath
    parts = path(prefix).parts
    if is_frozen:
        return _remove_frozen(path(executable))
    if "pipx" in parts:
        return "Remove it: pipx uninstall amberlight"
    if "uv" in parts and "tools" in parts:
        return "Remove it: uv tool uninstall amberlight"
    return f"It is in {prefix}: remove it the way you installed it."


def _remove_frozen(program: PurePath) -> str:
    if [each.lower() for each in program.parts[-4:-2]] == [
        "apps",
        "amberlight",
    ]:  # below Scoop's directory, wherever it is
        return "Remove it: scoop uninstall amberlight"
    if Path(program).with_name("uninstall.exe").is_file():  # Setup.exe's, which winget runs, too
        return "Remove it in Settings, under Apps."
    packaged = program.parts[:2] in (("/", "opt"), ("/", "usr"))
    return "Remove it: sudo apt remove amberlight" if packaged else f"Delete it: {program.parent}"
