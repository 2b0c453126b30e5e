"""`amberlight add` and `remove`: entries of config.toml, and the logins that belong to them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.cli.errors import api_error_text, refuse_missing_file
from trayapp.cli.output import clean, parse_time, print_error, print_line, print_result
from trayapp.config.paths import Paths

REMOVAL_LIMIT = 15.0  # s; revoking takes at most 10
POLL = 0.3  # s


def add(arguments: argparse.Namespace, paths: Paths) -> int:
    """Write the entry, have the app load it, sign in. Without an app only the entry is written."""
    from trayapp.config import editor

    if arguments.url is None:
        from trayapp.cli.catalog import take_address

        if (code := take_address(arguments)) != OK:
            return code
    keys = _configuration_keys(arguments)
    errors = _option_errors(keys)
    if arguments.client_secret and "client_id" not in keys:
        errors.append("--client-secret: also give the client it belongs to: --client-id")
    if errors:
        print_error("\n".join(f"amberlight: {sentence}" for sentence in errors))
        return USAGE
    secret = None
    if arguments.client_secret:
        from trayapp.cli.secrets import asked_secret

        secret = asked_secret(arguments.name)
    if arguments.client_secret and secret is None:
        return USAGE
    if (code := refuse_missing_file(paths)) != OK:
        return code
    editor.add(paths, arguments.name, keys)
    print_line(f"Added {arguments.name} to {paths.config_file}.")
    try:
        client = ApiClient.of(paths)
        answer = client.reload()
    except NotRunningError:
        more = f"Then store its secret: amberlight secret set {arguments.name}\n" if secret else ""
        print_line(f"Start Amberlight: amberlight run\n{more}Then sign in: amberlight reauthorize {arguments.name}")
        return OK
    if not _report_reload(answer):
        return FAILED
    if secret is not None:
        client.secret(arguments.name, secret)
    if arguments.no_sign_in:
        print_line(f"Sign in: amberlight reauthorize {arguments.name}")
        return OK

    from trayapp.cli.sign_in_wait import requested_method, sign_in

    try:
        return sign_in(client, arguments.name, **requested_method(arguments), accept=False)
    except ApiError as error:  # for example a server that can't be reached: the entry stays
        again = f"Sign in later: amberlight reauthorize {arguments.name}"
        print_error(f"amberlight: {api_error_text(error, arguments, paths)}\n{again}")
        return FAILED


def _configuration_keys(arguments: argparse.Namespace) -> Mapping[str, Any]:
    servers = ("issuer", "metadata_url", "authorization_endpoint", "token_endpoint", "revocation_endpoint")
    found = {key: getattr(arguments, key) for key in ("url", *servers, "client_id")}
    found |= {"scopes": arguments.scope, "resource": arguments.resource, "redirect_port": arguments.redirect_port}
    found |= {"device_authorization_endpoint": arguments.device_authorization_endpoint}
    found |= {"flow": "device" if arguments.device else None}
    return {key: value for key, value in found.items() if value is not None}


def _option_errors(keys: Mapping[str, Any]) -> list[str]:
    """Mistakes in the options, in terms of the command line. The messages are those of `config/settings.py`."""
    from trayapp.config.settings import IN_WORKLOAD

    sentences = []
    for key, value in keys.items():
        try:
            IN_WORKLOAD[key].check(value)
        except ValueError as error:
            option = {"url": "URL", "scopes": "--scope"}.get(key, "--" + key.replace("_", "-"))
            sentences.append(f"{option}: {error}")
    endpoints = {"authorization_endpoint", "token_endpoint"} & keys.keys()
    by_device = {"token_endpoint", "device_authorization_endpoint"} <= keys.keys()
    if not {"issuer", "metadata_url"} & keys.keys() and len(endpoints) == 1 and not by_device:
        sentences.append("give the sign-in server: --issuer, or both --authorization-endpoint and --token-endpoint")
    if "issuer" not in keys and len(endpoints) == 2 and "client_id" not in keys:
        sentences.append("give the client id that is registered there: --client-id")
    return sentences


def _report_reload(answer: Mapping[str, Any]) -> bool:
    """Print the app's errors and warnings; whether it took the new configuration."""
    for sentence in (*(answer.get("errors") or ()), *(answer.get("warnings") or ())):
        print_error(f"amberlight: {clean(sentence)}")
    if answer.get("ok") is not True:
        print_error("amberlight: Amberlight keeps its previous configuration")
        return False
    return True


def remove(arguments: argparse.Namespace, paths: Paths) -> int:
    """The app revokes and deletes the login first: an entry without a login can be added again, but not the reverse."""
    from trayapp.config import editor

    client = ApiClient.of(paths)
    name = arguments.name
    if editor.in_site_file(paths, name):
        raise editor.EditError(
            f"{name} is in the site-wide {paths.site_config_file}, which only an administrator can edit"
        )
    editor.check_editable(paths)  # never delete a login whose entry can't be removed
    client.status(name)  # unknown names end here
    if not arguments.yes and not sys.stdin.isatty():
        print_error(f"amberlight: Removing {name} deletes its login. To confirm, add --yes.")
        return USAGE
    if not arguments.yes and not _confirmed(f"Remove {name}? Its login is revoked and deleted. [y/N] "):
        print_line("Nothing was changed.")
        return OK
    gone, answer = take_out(client, paths, name)
    accepted = _report_reload(answer)
    text = f"Removed {name}." if gone else f"Removing {name}. Its server is still revoking the login."
    rest = _left_over(client, name) if gone else ""
    print_result(arguments, text, name=name, removed=gone, left=rest or None)
    if rest:
        print_error(f"amberlight: {rest}")
    return OK if accepted else FAILED


def _left_over(client: ApiClient, name: str) -> str:
    """What is still to be done for the removed login, in sentences; empty if it is gone."""
    try:
        removals = client.app().get("removals")
    except ApiError:  # an app of an earlier version doesn't say
        return ""
    return next(iter(left_over_texts(removals, name)), "")


def left_over_texts(removals: object, name: str = "") -> list[str]:
    """What the app's `removals` say is still to be done, for one workload or for all."""
    from trayapp.core.sentences import left_over
    from trayapp.core.snapshot import Removal

    found = []
    for each in removals if isinstance(removals, list) else ():
        if isinstance(each, dict) and name in ("", each.get("name")):
            deleted, revoked = each.get("deleted") is True, each.get("revoked") is True
            who, server = clean(each.get("name")), clean(each.get("server") or "")
            found.append(left_over(Removal(who, server, deleted, revoked, parse_time(each.get("until")))))
    return found


def take_out(client: ApiClient, paths: Paths, name: str) -> tuple[bool, Mapping[str, Any]]:
    """Delete the login, then the entry. Whether the login is gone already, and the app's answer to the reload."""
    from trayapp.config import editor

    client.remove(name)
    gone = _wait_until_gone(client, name)
    editor.remove(paths, name)
    return gone, client.reload()


def _confirmed(question: str) -> bool:
    sys.stdout.write(question)
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


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
