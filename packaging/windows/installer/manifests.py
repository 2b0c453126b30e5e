"""The manifests of winget and Scoop for one version: where its files are, and their hashes.

winget's come in three files, as its repository wants them (schema 1.12.0). Scoop's keeps `amberlight-home` from version to
version, as that directory makes the program of the archive keep everything beside itself (config/home.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

IDENTIFIER = "Amberlight.Amberlight"
SCHEMA = "1.12.0"
TEXT = "Keeps OAuth logins alive from the tray: MCP servers, APIs, anything behind an OAuth server"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was built: names and SHA-256 of the two files, and the directory of the web where they will be."""

    version: str
    url: str
    setup: str
    setup_hash: str
    archive: str
    archive_hash: str
    date: str  # YYYY-MM-DD


def winget(made: Delivery) -> dict[str, str]:
    """File names and texts."""
    head = {"PackageIdentifier": IDENTIFIER, "PackageVersion": made.version}
    tail = {"ManifestVersion": SCHEMA}
    version = {**head, "DefaultLocale": "en-US", "ManifestType": "version", **tail}
    installer = {
        **head,
        "InstallerType": "nullsoft",
        "Scope": "user",
        "UpgradeBehavior": "install",
        "MinimumOSVersion": "10.0.17763.0",
        "ProductCode": "Amberlight",
        "Commands": ["amberlight"],
        "ReleaseDate": made.date,
        "Installers": [
            {
                "Architecture": "x64",
                "InstallerUrl": f"{made.url}/{made.setup}",
                "InstallerSha256": made.setup_hash.upper(),
            }
        ],
        "ManifestType": "installer",
        **tail,
    }
    locale = {
        **head,
        "PackageLocale": "en-US",
        "Publisher": "The Amberlight developers",
        "PackageName": "Amberlight",
        "License": "Apache-2.0",
        "ShortDescription": TEXT,
        "Tags": ["mcp", "oauth", "tray"],
        "ManifestType": "defaultLocale",
        **tail,
    }
    return {
        f"{IDENTIFIER}.yaml": yaml(version),
        f"{IDENTIFIER}.installer.yaml": yaml(installer),
        f"{IDENTIFIER}.locale.en-US.yaml": yaml(locale),
    }


def scoop(made: Delivery) -> str:
    """The text of amberlight.json."""
    manifest = {
        "version": made.version,
        "description": TEXT,
        "homepage": made.url,
        "license": "Apache-2.0",
        "architecture": {"64bit": {"url": f"{made.url}/{made.archive}", "hash": made.archive_hash}},
        "extract_dir": f"amberlight-{made.version}",
        "pre_uninstall": 'if (!$purge) { & "$dir\\amberlight.exe" quit } else { & "$dir\\amberlight.exe" uninstall --yes }',
        "bin": "amberlight.exe",
        "shortcuts": [["amberlightw.exe", "Amberlight", "run --page"]],
        "persist": "amberlight-home",
    }
    return json.dumps(manifest, indent=4) + "\n"


def yaml(values: Mapping[str, object]) -> str:
    """A manifest as YAML: scalars, lists of scalars and one list of mappings, every text in quotes (as JSON, which is YAML)."""
    lines = []
    for key, value in values.items():
        if isinstance(value, list):
            lines.append(f"{key}:")
            for item in value:
                rows = [f"{name}: {json.dumps(text)}" for name, text in item.items()] if isinstance(item, dict) else []
                lines += [f"{'- ' if not n else '  '}{row}" for n, row in enumerate(rows or [json.dumps(item)])]
        else:
            lines.append(f"{key}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"
