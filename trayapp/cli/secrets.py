"""Reads a client secret from the terminal without echo, or from a pipe; never from the arguments (SECURITY.md 12)."""

from __future__ import annotations

import argparse
import re
import sys

from trayapp.cli.client import ApiClient
from trayapp.cli.codes import OK, USAGE
from trayapp.cli.output import print_error, print_result
from trayapp.cli.questions import can_ask
from trayapp.config.paths import Paths
from trayapp.core.model import Secret
from trayapp.oauth.client_keys import is_key

INPUT_MAX = 8192  # characters read from a pipe
VISIBLE_ASCII = re.compile(r"[\x20-\x7e]{1,4096}")  # RFC 6749 appendix A.2, or a JWK: RSA with 4096 bits has 3,200


def secret(arguments: argparse.Namespace, paths: Paths) -> int:
    """`amberlight secret set|delete NAME`."""
    client, name = ApiClient.of(paths), arguments.name
    client.status(name)  # fails for an unknown name before a secret is typed
    if arguments.action == "delete":
        client.secret(name, Secret(""))
        text = f"Deleted the client secret of {name}. The current login keeps using it until it ends."
        print_result(arguments, text, name=name, stored=False)
        return OK
    typed = asked_secret(name)
    if typed is None:
        return USAGE
    client.secret(name, typed)
    text = f"Stored the client secret of {name} in the keyring. Sign in: amberlight reauthorize {name}"
    print_result(arguments, text, name=name, stored=True)
    return OK


def read_secret(question: str) -> Secret | None:
    """The secret on one line; None if the input isn't usable as one."""
    if can_ask():
        from getpass import getpass

        text = getpass(question)
    else:
        text = "" if sys.stdin is None else sys.stdin.read(INPUT_MAX)
    text = text.removeprefix("\ufeff").strip("\r\n")
    if text.startswith("-----BEGIN") or is_key(Secret(text)):
        from trayapp.oauth.signing import KeyUnusableError, as_jwk

        try:
            text = as_jwk(text)
        except KeyUnusableError:
            return None
    return Secret(text) if VISIBLE_ASCII.fullmatch(text) else None


def asked_secret(name: str) -> Secret | None:
    """The client secret of a workload, typed without echo or piped; None, after a message, if it isn't usable."""
    secret = read_secret(f"Client secret for {name}: ")
    if secret is None:
        print_error("amberlight: no usable secret: expected one line of printable ASCII, or a private key (PEM or JWK)")
    return secret
