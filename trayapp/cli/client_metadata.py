"""`amberlight client-metadata`: prints the document to host, whose URL is then the client ID."""

from __future__ import annotations

import argparse
import os

from trayapp.cli.codes import FAILED, OK
from trayapp.cli.output import print_error, print_line
from trayapp.config.loader import load
from trayapp.config.paths import Paths


def client_metadata(arguments: argparse.Namespace, paths: Paths) -> int:
    """Needs no running app. Raises `ConfigError`."""
    from trayapp.oauth.client_document import as_text, document

    config = load(paths, os.environ)
    if arguments.name and arguments.name not in config.workloads:
        print_error(
            f"amberlight: there's no workload {arguments.name} in the configuration. See: amberlight list --all"
        )
        return FAILED
    own = (
        config.workloads[arguments.name].client_metadata_url if arguments.name else config.settings.client_metadata_url
    )
    if not own:
        whose = f"{arguments.name} " if arguments.name else ""
        print_error(
            "amberlight: client_metadata_url isn't set. Choose an https:// URL where you can host a file, and run "
            f"`amberlight set {whose}client_metadata_url https://…`"
        )
        return FAILED
    users = [spec for spec in config.workloads.values() if spec.client_metadata_url == own]
    keys = []
    for file in sorted({spec.client_key_file for spec in users if spec.client_key_file}):
        from trayapp.oauth.signing import KeyUnusableError, public_key, read_key_file

        try:
            keys.append(public_key(read_key_file(file)))
        except KeyUnusableError as error:
            print_error(f"amberlight: {file} {error}.")
            return FAILED
    print_line(as_text(document(own, [spec.redirect_port for spec in users] or [0], keys)))
    return OK
