"""Edit the configuration for the API: what was typed is corrected and checked, written to config.toml, and loaded.

config.toml is the only record of workloads and settings, and `config/editor.py` the only way to it; the command line
edits through it as well. Nothing is left behind by an edit that fails. Belongs to the engine's loop; files are read and
written in threads.
"""

from __future__ import annotations

import asyncio
import os
import socket
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from trayapp.api.controls import ClientNeeded, Draft, Edited, Rejected, SettingsTable
from trayapp.app import rejections
from trayapp.app.rejections import RejectedError
from trayapp.config.corrections import corrected, corrected_name
from trayapp.config.paths import Paths
from trayapp.config.settings import IN_WORKLOAD, POLICY_FIELDS
from trayapp.core.model import Problem, Secret, Spec, Trouble
from trayapp.core.sentences import NO_SUCH_WORKLOAD, sign_in_outdated
from trayapp.core.snapshot import Detail, WorkloadView

if TYPE_CHECKING:
    from trayapp.catalog.server import Server
    from trayapp.oauth.preview import ServerLook

T = TypeVar("T")
CHECKED_AT = {"port_taken": "redirect_port"}  # what a problem of the server's is about, if not its address
NO_LOGIN = (Detail.NEVER_SIGNED_IN, Detail.KEYRING_UNAVAILABLE)
PORTS_FROM, PORTS = 49152, 16384  # where redirects of clients set up by hand are suggested (RFC 6335 section 6)


class SignInsUnderWay(Protocol):
    """What is needed of sign-ins."""

    def outdated(self) -> list[str]:
        """Workloads whose sign-in in progress is for another configuration."""
        ...


class EditedEngine(Protocol):
    """What is needed of the engine."""

    @property
    def sign_ins(self) -> SignInsUnderWay: ...

    def spec(self, name: str) -> Spec | None: ...

    def view_of(self, name: str) -> WorkloadView | None: ...


class Secrets(Protocol):
    """Where client secrets go, and who looks at servers: `oauth/lazy_sign_in.py`."""

    async def set_secret(self, name: str, secret: Secret | None) -> Trouble | None: ...

    async def look(self, spec: Spec) -> Problem | ServerLook: ...


@dataclass(frozen=True, slots=True)
class Configuration:
    """The files and how they are loaded: `reload` returns errors and warnings."""

    paths: Paths
    reload: Callable[[], Awaitable[tuple[list[str], list[str]]]]

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run an edit, which waits for a lock and for the disk. Raises `RejectedError`."""
        with rejections.raised(self.paths.config_file):
            return await asyncio.to_thread(work)

    async def load(self) -> None:
        """Read the files. Raises `RejectedError`."""
        errors, _ = await self.reload()
        if errors:
            raise RejectedError(rejections.bad_file(errors[0]))


class Editing:
    """Adds and changes workloads, and shows their settings. `rename` gives one another name."""

    def __init__(
        self,
        engine: EditedEngine,
        configuration: Configuration,
        secrets: Secrets,
        rename: Callable[[str, str], Awaitable[Sequence[str]]],
    ) -> None:
        """`rename` raises `RejectedError`; it returns what is left to do, a sentence each."""
        self._engine = engine
        self._configuration = configuration
        self._paths = configuration.paths
        self._secrets = secrets
        self._rename = rename

    async def add(self, draft: Draft) -> str | Rejected:
        """Write a workload and load it; its name. One that nobody has signed in to is corrected in place."""
        try:
            return await self._add(corrected_name(draft.name), corrected(draft.keys), draft)
        except RejectedError as error:
            return error.rejected

    async def _add(self, name: str, keys: Mapping[str, Any], draft: Draft) -> str:
        rejections.check_fields(name, keys)
        old = await self._present(name)
        await self._configuration.load()  # also a file that is missing, which would otherwise be made anew
        if draft.check:
            for_all = await self._configuration.in_thread(lambda: _for_all(self._paths))
            await self._look(_spec(name, {**for_all, **keys}), keys)
        if draft.secret is not None:
            await self._keep_secret(name, draft.secret, keys.get("client_id"))
        await self._write(name, keys, replaced=old is not None)
        try:
            await self._configuration.load()
            if self._engine.spec(name) is None:
                raise RejectedError(rejections.bad_file(f"The configuration doesn't contain {name}"))
        except RejectedError:
            await self._restore(name, old)
            raise
        return name

    async def _present(self, name: str) -> Mapping[str, Any] | None:
        """The keys of a workload of this name that may be replaced; None if there is none. Raises `RejectedError`."""
        view = self._engine.view_of(name)
        if view is None:
            return None
        keys = await self._configuration.in_thread(lambda: _own_keys(self._paths, name))
        if view.auth.detail not in NO_LOGIN or view.auth.signing_in or view.auth.usable or keys is None:
            raise RejectedError(rejections.name_taken(name))
        return keys

    async def _write(self, name: str, keys: Mapping[str, Any], *, replaced: bool) -> None:
        from trayapp.config import editor

        write = editor.replace_workload if replaced else editor.add
        await self._configuration.in_thread(lambda: write(self._paths, name, keys))

    async def _restore(self, name: str, old: Mapping[str, Any] | None) -> None:
        """Take an edit back that turned out to be none."""
        from trayapp.config import editor

        if old is None:
            await self._configuration.in_thread(lambda: editor.remove(self._paths, name))
        else:
            await self._configuration.in_thread(lambda: editor.replace_workload(self._paths, name, old))

    async def edit(self, name: str, draft: Draft) -> Edited | Rejected:
        """Change keys of a workload, and its name."""
        try:
            return await self._edit(name, corrected_name(draft.name) or name, corrected(draft.keys), draft)
        except RejectedError as error:
            return error.rejected

    async def _edit(self, name: str, new: str, keys: Mapping[str, Any], draft: Draft) -> Edited:
        given = {key: value for key, value in keys.items() if value is not None}
        rejections.check_fields(new, given)
        if new != name and self._engine.spec(new) is not None:
            raise RejectedError(rejections.name_taken(new))
        await self._configuration.load()
        spec = self._engine.spec(name)
        if spec is None:
            raise RejectedError(Rejected(404, "unknown_workload", NO_SUCH_WORKLOAD))
        if draft.check:
            await self._look(_changed(spec, keys), keys)
        if draft.secret is not None:
            await self._keep_secret(name, draft.secret, keys.get("client_id", spec.client_id))
        changed = await self._change(name, keys, draft.revision) if keys else False
        await self._configuration.load()
        notes = await self._rename(name, new) if new != name else ()
        if new != name:
            return Edited(new, f"Renamed {name} to {new}.", tuple(notes))
        did = changed or draft.secret is not None
        outdated = (sign_in_outdated(name),) if name in self._engine.sign_ins.outdated() else ()
        return Edited(name, f"Changed {name}." if did else f"{name} already has these values.", outdated)

    async def _change(self, name: str, keys: Mapping[str, Any], revision: str) -> bool:
        from trayapp.config import editor
        from trayapp.config.described import workload_table

        table = workload_table(name)
        return await self._configuration.in_thread(lambda: editor.change(self._paths, table, keys, revision))

    # --- the server --------------------------------------------------------------------------------------------------

    async def _look(self, spec: Spec, keys: Mapping[str, Any]) -> None:
        """Raise `RejectedError` if nobody could sign in there as it is."""
        found = await self._secrets.look(spec)
        if isinstance(found, Problem):
            field = next((key for key in ("issuer", "metadata_url", "token_endpoint") if keys.get(key)), "url")
            field = CHECKED_AT.get(found.kind, field)
            raise RejectedError(Rejected(409, found.kind, found.summary, {field: found.summary}))
        if spec.client_id or found.registers:
            return
        port = spec.redirect_port or await asyncio.to_thread(suggested_port, spec.name)
        client = ClientNeeded(f"http://127.0.0.1:{port}/callback", port, found.secret, _client_from(spec))
        sentence = f"{found.host} doesn't register apps automatically. Create a client there and enter its client ID."
        raise RejectedError(Rejected(409, "client_id_needed", sentence, {"client_id": sentence}, client))

    async def _keep_secret(self, name: str, secret: Secret, client_id: object) -> None:
        if secret and not client_id:
            sentence = "Enter the client ID that the secret belongs to."
            raise RejectedError(Rejected(400, "bad_value", sentence, {"client_id": sentence}))
        trouble = await self._secrets.set_secret(name, secret or None)
        if trouble is not None:
            sentence = f"The keyring couldn't save the client secret ({trouble}). Unlock it and try again."
            raise RejectedError(Rejected(409, "keyring", sentence, {"client_secret": sentence}))

    # --- showing -----------------------------------------------------------------------------------------------------

    async def settings(self, name: str) -> SettingsTable | Rejected:
        """All settings of a workload."""
        from trayapp.config import described

        table = described.workload_table(name)
        try:
            files = await self._configuration.in_thread(lambda: described.read_files(self._paths))
        except RejectedError as error:
            return error.rejected
        rows = described.workload_rows(files, os.environ, name)
        problem = await problem_of_file(self._configuration)
        return SettingsTable(described.revision(files, table), str(self._paths.config_file), problem, rows)


async def problem_of_file(configuration: Configuration) -> str:
    """Why the user's file can't be changed, in a sentence; empty if it can."""
    from trayapp.config import editor

    try:
        await configuration.in_thread(lambda: editor.check_editable(configuration.paths))
    except RejectedError as error:
        return error.rejected.message
    return ""


def suggested_port(name: str) -> int:
    """A free port for the redirect of a client that is set up by hand; the same one each time, if it is still free."""
    first = zlib.crc32(name.encode()) % PORTS
    for step in range(PORTS):
        port = PORTS_FROM + (first + step) % PORTS
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return PORTS_FROM


def _own_keys(paths: Paths, name: str) -> Mapping[str, Any] | None:
    """What the user's file says of a workload; None if only the site-wide one does."""
    from trayapp.config import described

    workloads = described.section(described.read_files(paths).user, ("workloads",))
    keys = workloads.get(name)
    return keys if isinstance(keys, Mapping) else None


def _for_all(paths: Paths) -> Mapping[str, Any]:
    """What `[settings]` says of every workload's sign-in."""
    from trayapp.config import described

    files = described.read_files(paths)
    settings = {
        **described.section(files.site, described.SETTINGS),
        **described.section(files.user, described.SETTINGS),
    }
    return {key: settings[key] for key in ("client_metadata_url",) if key in settings}


def _spec(name: str, keys: Mapping[str, Any]) -> Spec:
    """A workload of these keys, which have been checked."""
    return _changed(Spec(name, ""), keys)


def _changed(spec: Spec, keys: Mapping[str, Any]) -> Spec:
    defaults = Spec(spec.name, "")
    values = {
        key: getattr(defaults, key) if value is None else IN_WORKLOAD[key].check(value)
        for key, value in keys.items()
        if key not in POLICY_FIELDS
    }
    if "resource" in values:
        values["omit_resource"] = keys["resource"] == ""
    return replace(spec, **values)


def _client_from(spec: Spec) -> str:
    """Where the catalog says that a client is created; empty if it doesn't know the server."""
    from trayapp.catalog.lookup import BY_NAME

    def known(server: Server) -> bool:
        keys = server.entry()
        return all(keys.get(key, "") == getattr(spec, key) for key in ("url", "issuer", "token_endpoint"))

    return next((server.client_from for server in BY_NAME.values() if known(server)), "")
