"""`amberlight edit`, `rename` and `sign-out`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from trayapp.cli.client import ApiClient, NotRunningError
from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.cli.entry_keys import configuration_keys, key_errors
from trayapp.cli.output import clean, print_error, print_noted, print_result
from trayapp.config.paths import Paths


def edit(arguments: argparse.Namespace, paths: Paths) -> int:
    """Change keys by options; without any, its entry in an editor."""
    name = arguments.name
    keys: dict[str, Any] = {**dict.fromkeys(arguments.unset), **configuration_keys(arguments)}
    if not keys and not arguments.client_secret:
        return _in_editor(arguments, paths)
    from trayapp.config.corrections import corrected
    from trayapp.config.settings import IN_WORKLOAD

    keys = corrected(keys)
    errors = [f"--unset: there's no key {clean(key)}" for key in arguments.unset if key not in IN_WORKLOAD]
    errors += key_errors({key: value for key, value in keys.items() if value is not None and key in IN_WORKLOAD})
    if errors:
        print_error("\n".join(f"amberlight: {sentence}" for sentence in errors))
        return USAGE
    secret = None
    if arguments.client_secret:
        from trayapp.cli.secrets import asked_secret

        if (secret := asked_secret(name)) is None:
            return USAGE
    body = keys | ({"client_secret": secret.reveal()} if secret is not None else {})
    return change(arguments, paths, name, body)


def change(arguments: argparse.Namespace, paths: Paths, name: str, body: Mapping[str, Any]) -> int:
    """Have the app change a workload; without an app, only its entry is changed."""
    try:
        client = ApiClient.of(paths)
    except NotRunningError:
        if "client_secret" in body:
            raise  # the keyring is the app's
        return _change_file(arguments, paths, name, body)
    answer = client.edit(name, dict(body))
    print_noted(arguments, clean(answer.get("message")), answer, name=name)
    return OK


def _change_file(arguments: argparse.Namespace, paths: Paths, name: str, keys: Mapping[str, Any]) -> int:
    from trayapp.config import editor
    from trayapp.config.described import workload_table

    if name not in editor.limited_load(paths).workloads:
        raise editor.EditError(f"there's no workload {name} in {paths.config_file}")
    changed = editor.change(paths, workload_table(name), keys)
    text = f"Changed {name} in {paths.config_file}." if changed else f"{name} already has these values."
    print_noted(arguments, text, {}, name=name)
    return OK


def _in_editor(arguments: argparse.Namespace, paths: Paths) -> int:
    """The lines of its entry, as they stand in config.toml; validated before they are written."""
    from trayapp.cli.editors import NoEditorError, edited
    from trayapp.config import editor

    name = arguments.name
    old = editor.workload_block(paths, name)
    if old is None:
        if name in editor.limited_load(paths).workloads:
            raise editor.EditError(
                f"{name} isn't written as one table of {paths.config_file}. Try: amberlight config edit"
            )
        raise editor.EditError(f"there's no workload {name} in {paths.config_file}. See: amberlight list --all")
    try:
        new = edited(old, f"{name}.toml", lambda text: editor.block_problem(paths, name, old, text))
    except NoEditorError as error:
        print_error(f"amberlight: {error}")
        return FAILED
    if new is None:
        return FAILED
    if new == old or not editor.replace_block(paths, name, old, new):
        print_noted(arguments, "Nothing was changed.", {}, name=name)
        return OK
    return loaded(arguments, paths, f"Changed {name}.", name=name, notes=[])


def loaded(arguments: argparse.Namespace, paths: Paths, text: str, **facts: object) -> int:
    """Have a running app read config.toml again, and say what was done."""
    from trayapp.cli.entry_keys import report_reload

    try:
        answer = ApiClient.of(paths).reload()
    except NotRunningError:
        answer = {"ok": True}
    if not report_reload(answer):
        return FAILED
    print_result(arguments, text, **facts)
    return OK


def rename(arguments: argparse.Namespace, paths: Paths) -> int:
    """The app moves the login, so it has to run."""
    name, new = arguments.name, arguments.new
    client = ApiClient.of(paths)
    if name == new:
        client.status(name)
        print_noted(arguments, f"{name} is already called that.", {}, name=new)
        return OK
    answer = client.edit(name, {"name": new})
    print_noted(arguments, clean(answer.get("message")), answer, name=new)
    return OK


def sign_out(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.add_command import left_over
    from trayapp.cli.workload_text import auth_of

    client, name = ApiClient.of(paths), arguments.name
    if auth_of(client.status(name)).get("detail") == "never_signed_in":
        print_result(arguments, f"{name} isn't signed in.", name=name, signed_out=False)
        return OK
    client.post(name, "sign-out", {})
    rest = left_over(client, name)
    text = f"Signed out of {name}. Sign in again: amberlight reauthorize {name}"
    print_result(arguments, text, name=name, signed_out=True, left=rest or None)
    if rest:
        print_error(f"amberlight: {rest}")
    return OK
