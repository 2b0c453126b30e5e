"""Import of ToolHive's remote workloads from its run configurations: names and addresses, never a secret.

Its refresh tokens are left where they are: a token that is exchanged at every use has one owner, and two would each
spend what the other needs. The same holds for everything that belongs to its own registration with a server. Unknown
fields are ignored. There is one file `runconfigs/NAME.json` per workload, in ToolHive's state directory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trayapp.clients import files
from trayapp.importers.entries import NO_LOGIN, ImportableEntry, SkippedEntry, make_entry
from trayapp.system.plain_files import within
from trayapp.system.xdg_directories import state_home

FOLDER = Path("toolhive", "runconfigs")
RUN_CONFIG_MAX = 1 << 20  # bytes of one of its run configurations; they have a few thousand

# Our key → its field, in its current and its older spelling.
_FIELDS: Mapping[str, tuple[str, str]] = {
    "issuer": ("issuer", "Issuer"),
    "authorization_endpoint": ("authorize_url", "AuthorizeURL"),
    "token_endpoint": ("token_url", "TokenURL"),
    "client_id": ("client_id", "ClientID"),
    "scopes": ("scopes", "Scopes"),
    "resource": ("resource", "Resource"),
}


def folder(platform: str, environ: Mapping[str, str], home: Path) -> Path:
    """Where ToolHive keeps its run configurations: the state directory of the Go library that it uses."""
    return state_home(platform, environ, home) / FOLDER


def entries(directory: Path) -> list[ImportableEntry | SkippedEntry | None]:
    """What ToolHive's folder holds; None for each program on this machine. Raises `OSError`."""
    return [read_file(file) for file in within(directory, lambda: sorted(directory.glob("*.json")))]


def read_file(file: Path) -> ImportableEntry | SkippedEntry | None:
    """The workload of one run configuration; None if it isn't a remote one."""
    try:
        return read(file.stem, files.read(file, RUN_CONFIG_MAX).text)
    except files.FileError as error:
        return SkippedEntry(file.name, str(error))


def read(stem: str, text: str) -> ImportableEntry | SkippedEntry | None:
    """The workload in `STEM.json`; None if it isn't a remote one."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return SkippedEntry(f"{stem}.json", "the file is damaged: it isn't valid JSON")
    if not isinstance(config, Mapping):
        return SkippedEntry(f"{stem}.json", "the file is damaged: it isn't a JSON object")
    if not (url := config.get("remote_url")):
        return None
    name = config.get("name")
    original_name = name if isinstance(name, str) and name else stem
    found_auth = config.get("remote_auth_config")
    auth: Mapping[str, Any] = found_auth if isinstance(found_auth, Mapping) else {}
    if any(auth.get(key) for key in ("bearer_token", "bearer_token_file", "BearerToken", "BearerTokenFile")):
        return SkippedEntry(original_name, f"it uses a fixed token, {NO_LOGIN}")
    keys = {ours: _first_set(auth, theirs) for ours, theirs in _FIELDS.items()}
    port = _first_set(auth, ("callback_port", "CallbackPort")) if keys["client_id"] else None
    made = make_entry(original_name, {"url": url, **keys, "redirect_port": port}, _notes(auth, port))
    return replace(made, needs_secret=_has_secret(auth)) if isinstance(made, ImportableEntry) else made


def _first_set(auth: Mapping[str, Any], names: tuple[str, str]) -> Any:
    return next((auth[name] for name in names if auth.get(name)), None)


def _has_secret(auth: Mapping[str, Any]) -> bool:
    places = (("client_secret", "ClientSecret"), ("client_secret_file", "ClientSecretFile"))
    return any(_first_set(auth, names) for names in places)


def _notes(auth: Mapping[str, Any], port: object) -> list[str]:
    notes = []
    if _has_secret(auth):
        notes.append("Its client secret stays with ToolHive. To add it here, run `amberlight secret set NAME`.")
    if port:
        notes.append(f"Its client must allow the redirect http://127.0.0.1:{port}/callback.")
    if auth.get("oauth_params") or auth.get("OAuthParams") or auth.get("scope_param_name"):
        notes.append("Its other OAuth parameters aren't supported here and were left out.")
    return notes
