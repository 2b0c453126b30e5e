"""`amberlight add` and `remove`: entries of config.toml, and the logins that belong to them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.cli.entry_keys import configuration_keys, key_errors
from trayapp.cli.errors import api_error_text, refuse_missing_file, sign_in_later
from trayapp.cli.output import clean, parse_time, print_error, print_line, print_noted
from trayapp.cli.questions import Questions, can_ask, confirmed
from trayapp.config.paths import Paths
from trayapp.core.model import Secret

REMOVAL_LIMIT = 15.0  # s; revoking takes at most 10
POLL = 0.3  # s


def add(arguments: argparse.Namespace, paths: Paths) -> int:
    """Have the app add the workload and sign in. Without an app only its entry is written."""
    if arguments.url is not None and arguments.account is not None:
        print_error("amberlight: --account: an account has no URL. Leave one of them out.")
        return USAGE
    if arguments.url is None:
        from trayapp.cli.catalog import take_account, take_address

        if (code := (take_account if arguments.account else take_address)(arguments)) != OK:
            return code
    from trayapp.config.corrections import corrected

    keys = corrected(configuration_keys(arguments))
    errors = key_errors(keys) + _incomplete(keys)
    if arguments.client_secret and "client_id" not in keys:
        errors.append("--client-secret: also give the client it belongs to: --client-id")
    if errors:
        print_error("\n".join(f"amberlight: {sentence}" for sentence in errors))
        return USAGE
    secret = None
    if arguments.client_secret:
        from trayapp.cli.secrets import asked_secret

        if (secret := asked_secret(arguments.name)) is None:
            return USAGE
    if (code := refuse_missing_file(paths)) != OK:
        return code
    try:
        client = ApiClient.of(paths)
    except NotRunningError:
        return _add_to_file(arguments, paths, keys, secret=secret is not None)
    if (code := _add(client, arguments, keys, secret)) != OK:
        return code
    print_line(f"Added {arguments.name} to {paths.config_file}.")
    if arguments.no_sign_in:
        print_line(f"Sign in: amberlight reauthorize {arguments.name}")
        return OK
    from trayapp.cli.sign_in_wait import requested_method, sign_in

    try:
        return sign_in(client, arguments.name, **requested_method(arguments), accept=False)
    except ApiError as error:  # for example a server that can't be reached: the entry stays
        print_error(f"amberlight: {api_error_text(error, arguments, paths)}\n{sign_in_later(arguments.name)}")
        return FAILED


def _add(client: ApiClient, arguments: argparse.Namespace, keys: Mapping[str, Any], secret: Secret | None) -> int:
    """Add it, and ask in a terminal for the client that its server wants."""
    body = {"name": arguments.name, **keys, "check": not arguments.no_sign_in}
    while True:
        if secret is not None:
            body["client_secret"] = secret.reveal()
        try:
            arguments.name = client.add(body)
        except ApiError as error:
            if error.code != "client_id_needed":
                raise
            show_client_needed(arguments, keys, error)
            if not can_ask() or not (typed := Questions(agree=False).text("Client ID (Enter to stop): ")):
                return FAILED
            body |= {"client_id": typed, "redirect_port": error.body.get("redirect_port")}
            if error.body.get("client_secret") != "none":
                from trayapp.cli.secrets import read_secret

                secret = read_secret("Client secret (Enter if it has none): ")
        else:
            return OK


def show_client_needed(arguments: argparse.Namespace, keys: Mapping[str, Any], error: ApiError) -> None:
    """What to create at the server, and how to go on."""
    redirect, port = clean(error.body.get("redirect_uri")), error.body.get("redirect_port")
    secret = {"required": " --client-secret", "none": ""}.get(
        str(error.body.get("client_secret")), " [--client-secret]"
    )
    where = clean(error.body.get("client_from")) or "there"
    print_error(
        f"amberlight: {clean(error).partition('. ')[0]}. Nothing was added.\n"
        f"Create a client {where}, with the redirect URL {redirect}\n"
        f"Then: amberlight add {arguments.name} {_named(arguments, keys)} --client-id ID{secret} --redirect-port {port}"
    )


def _named(arguments: argparse.Namespace, keys: Mapping[str, Any]) -> str:
    """The options that say which server or account it is."""
    if "url" in keys:
        return str(keys["url"])
    issuer = f" --issuer {arguments.issuer}" if arguments.issuer else ""
    return f"--account {arguments.account or arguments.name}{issuer}"


def _add_to_file(arguments: argparse.Namespace, paths: Paths, keys: Mapping[str, Any], *, secret: bool) -> int:
    from trayapp.config import editor

    editor.add(paths, arguments.name, keys)
    print_line(f"Added {arguments.name} to {paths.config_file}.")
    more = f"Then store its secret: amberlight secret set {arguments.name}\n" if secret else ""
    print_line(f"Start Amberlight: amberlight run\n{more}Then sign in: amberlight reauthorize {arguments.name}")
    return OK


def _incomplete(keys: Mapping[str, Any]) -> list[str]:
    """Options that are missing for others."""
    sentences = []
    endpoints = {"authorization_endpoint", "token_endpoint"} & keys.keys()
    by_device = {"token_endpoint", "device_authorization_endpoint"} <= keys.keys()
    if not {"issuer", "metadata_url"} & keys.keys() and len(endpoints) == 1 and not by_device:
        sentences.append("give the sign-in server: --issuer, or both --authorization-endpoint and --token-endpoint")
    if "issuer" not in keys and len(endpoints) == 2 and "client_id" not in keys:
        sentences.append("give the client ID that is registered there: --client-id")
    if keys.get("kind") == "account" and not {"issuer", "metadata_url", "token_endpoint"} & keys.keys():
        sentences.append("give the account's sign-in server: --issuer")
    if "hosts" in keys and keys.get("kind") != "account":
        sentences.append("--host is for accounts: add --account")
    return sentences


def remove(arguments: argparse.Namespace, paths: Paths) -> int:
    """Have the app remove it: revoke and delete the login, then delete its entry."""
    client, name = ApiClient.of(paths), arguments.name
    client.status(name)  # unknown names end here
    if not arguments.yes and not can_ask():
        print_error(f"amberlight: Removing {name} deletes its login. To confirm, add --yes.")
        return USAGE
    if not arguments.yes and not confirmed(f"Remove {name}? Its login is revoked and deleted."):
        print_line("Nothing was changed.")
        return OK
    removed = client.remove(name)
    gone = _wait_until_gone(client, name)
    text = f"Removed {name}." if gone else f"Removing {name}. Its server is still revoking the login."
    rest = left_over(client, name) if gone else ""
    print_noted(arguments, text, removed, name=name, removed=gone, left=rest or None)
    if rest:
        print_error(f"amberlight: {rest}")
    return OK


def left_over(client: ApiClient, name: str) -> str:
    """What is still to be done for the removed login, in sentences; empty if it is gone."""
    try:
        removals = client.app().get("removals")
    except ApiError:  # an app of an earlier version doesn't say
        return ""
    return next(iter(left_over_texts(removals, name)), "")


def left_over_texts(removals: object, name: str = "", *, quits: bool = False) -> list[str]:
    """What the app's `removals` say is still to be done, for one workload or for all."""
    from trayapp.core.sentences import left_over
    from trayapp.core.snapshot import Removal

    found = []
    for each in removals if isinstance(removals, list) else ():
        if isinstance(each, dict) and name in ("", each.get("name")):
            deleted, revoked = each.get("deleted") is True, each.get("revoked") is True
            who, server = clean(each.get("name")), clean(each.get("server") or "")
            removal = Removal(who, server, deleted, revoked, parse_time(each.get("until")))
            found.append(left_over(removal, quits=quits))
    return found


def take_out(client: ApiClient, name: str) -> bool:
    """Delete the login and the entry; whether both are gone already. A slow server may still be revoking the login."""
    client.remove(name)
    return _wait_until_gone(client, name)


def _wait_until_gone(client: ApiClient, name: str) -> bool:
    until = time.monotonic() + REMOVAL_LIMIT
    while time.monotonic() < until:
        try:
            client.status(name)
        except ApiError as error:
            if error.code == "unknown_workload":
                return True
            raise
        time.sleep(POLL)
    return False
