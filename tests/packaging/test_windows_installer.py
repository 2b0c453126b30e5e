"""The delivery for Windows, as far as it can be looked into without Windows: libraries, archive, manifests, installer."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it comes with mcp, without types
from ruamel.yaml import YAML

from tests import ROOT
from trayapp import __version__
from trayapp.autostart import windows
from trayapp.config import home

INSTALLER = ROOT / "packaging/windows/installer"
SCRIPT = INSTALLER / "amberlight.nsi"
URL = "https://downloads.example/0.1.0"
SCHEMAS = os.environ.get("AMBERLIGHT_SCHEMAS", "")
TEXT = {"type": "string", "minLength": 1}
# What winget's and Scoop's schemas want of what is written here, in short: no other keys, and these forms.
WINGET = {
    "PackageIdentifier": {"pattern": r"^[^\.\s\\/:\*\?\"<>\|]{1,32}(\.[^\.\s\\/:\*\?\"<>\|]{1,32}){1,7}$"},
    "PackageVersion": {"pattern": r"^[\d.]+$"},
    "ManifestType": TEXT,
    "ManifestVersion": {"const": "1.12.0"},
}
FORMS: dict[str, dict[str, object]] = {
    "version": {**WINGET, "DefaultLocale": {"const": "en-US"}},
    "installer": {
        **WINGET,
        "InstallerType": {"enum": ["nullsoft"]},
        "Scope": {"enum": ["user", "machine"]},
        "UpgradeBehavior": {"enum": ["install", "uninstallPrevious", "deny"]},
        "MinimumOSVersion": {"pattern": r"^\d+(\.\d+){3}$"},
        "ProductCode": TEXT,
        "Commands": {"type": "array", "items": {"maxLength": 40}},
        "ReleaseDate": {"pattern": r"^\d{4}-\d\d-\d\d$"},
        "Installers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["Architecture", "InstallerUrl", "InstallerSha256"],
                "properties": {
                    "Architecture": {"enum": ["x64"]},
                    "InstallerUrl": {"pattern": "^https://"},
                    "InstallerSha256": {"pattern": "^[0-9A-F]{64}$"},
                },
                "additionalProperties": False,
            },
        },
    },
    "defaultLocale": {
        **WINGET,
        "PackageLocale": {"const": "en-US"},
        "Publisher": {"minLength": 2, "maxLength": 256},
        "PackageName": {"minLength": 2, "maxLength": 256},
        "License": {"minLength": 3, "maxLength": 512},
        "ShortDescription": {"minLength": 3, "maxLength": 256},
        "Tags": {"type": "array", "maxItems": 16, "uniqueItems": True, "items": {"maxLength": 40}},
    },
    "scoop": {
        "version": {"pattern": r"^[\w.\-+]+$"},
        "description": TEXT,
        "homepage": {"pattern": "^https://"},
        "license": TEXT,
        "architecture": {
            "properties": {
                "64bit": {
                    "properties": {"url": {"pattern": "^https://"}, "hash": {"pattern": "^[0-9a-f]{64}$"}},
                    "required": ["url", "hash"],
                    "additionalProperties": False,
                }
            },
            "required": ["64bit"],
            "additionalProperties": False,
        },
        "extract_dir": TEXT,
        "pre_uninstall": TEXT,
        "bin": TEXT,
        "shortcuts": {"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 4}},
        "persist": TEXT,
    },
}


def module(name: str) -> ModuleType:
    """A module of the folder, which is no package."""
    sys.path.insert(0, str(INSTALLER))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(INSTALLER))


deliver, manifests, pe = module("deliver"), module("manifests"), module("pe")


def image(*imports: str, subsystem: int = 3, wine: bool = False) -> bytes:
    """A PE file with one section, which holds nothing but an import table."""
    begin, names = 0x1000, b""
    descriptors = b""
    text = begin + 20 * (len(imports) + 1)
    for name in imports:
        descriptors += struct.pack("<5I", 0, 0, 0, text + len(names), 0)
        names += name.encode() + b"\0"
    section = descriptors + bytes(20) + names
    mark = b"Wine builtin DLL\0" if wine else b""
    dos = b"MZ" + bytes(0x3A) + struct.pack("<I", 0x80) + mark
    optional = struct.pack("<H66xH38xI", 0x20B, subsystem, 16) + bytes(8) + struct.pack("<II", begin, len(section))
    optional = optional.ljust(240, b"\0")
    head = dos.ljust(0x80, b"\0") + b"PE\0\0" + struct.pack("<HH12xHH", 0x8664, 1, len(optional), 0) + optional
    table = b".idata".ljust(8, b"\0") + struct.pack("<4I16x", len(section), begin, len(section), 0x400)
    return (head + table).ljust(0x400, b"\0") + section


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that can be delivered."""
    place = tmp_path / "amberlight"
    (place / "_internal").mkdir(parents=True)
    (place / "amberlight.exe").write_bytes(image("KERNEL32.dll", "USER32.dll"))
    (place / "amberlightw.exe").write_bytes(image("KERNEL32.dll", subsystem=2))
    crt = "api-ms-win-crt-runtime-l1-1-0.dll"
    (place / "_internal/python313.dll").write_bytes(image("VCRUNTIME140.dll", crt))
    (place / "_internal/vcruntime140.dll").write_bytes(image("KERNEL32.dll"))
    (place / "_internal/data.txt").write_text("text")
    return place


def test_a_whole_program_can_be_delivered(program: Path) -> None:
    """Each library is in it, or a part of Windows."""

    deliver.check(program)


@pytest.mark.parametrize(
    ("name", "made", "said"),
    [
        ("_internal/extra.pyd", image("MSVCP140.dll"), "extra.pyd needs msvcp140.dll, which isn't there"),
        ("_internal/msvcp140.dll", image(wine=True), "msvcp140.dll is a part of Wine"),
        ("_internal/bcryptprimitives.dll", image(), "bcryptprimitives.dll is a part of Wine"),
        ("amberlightw.exe", image(subsystem=3), "amberlightw.exe is of subsystem 3, not 2"),
    ],
)
def test_what_windows_would_lack_or_not_want_is_refused(program: Path, name: str, made: bytes, said: str) -> None:
    """By the name of the library."""

    (program / name).write_bytes(made)
    with pytest.raises(deliver.UnfitError, match=re.escape(said)):
        deliver.check(program)


def test_a_program_that_is_not_there_is_named(program: Path) -> None:
    """The one without a console, too."""

    (program / "amberlightw.exe").unlink()
    with pytest.raises(deliver.UnfitError, match=r"amberlightw\.exe is missing: freeze the program first"):
        deliver.check(program)


@pytest.mark.parametrize("data", [b"", b"MZ", b"\x7fELF" + bytes(100), image("a.dll")[:0x90], image("a.dll")[:0x401]])
def test_a_file_that_is_none_is_refused(data: bytes, tmp_path: Path) -> None:
    """Cut short, or of another system."""

    (tmp_path / "x.dll").write_bytes(data)
    with pytest.raises(pe.NotPeError):
        pe.read(tmp_path / "x.dll")


def test_the_archive_is_portable_and_the_same_each_time(program: Path, tmp_path: Path) -> None:
    """Its empty directory makes the program keep everything beside itself."""

    for name in ("one.zip", "two.zip"):
        deliver.archive(program, "1.2.3", tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        names = archive.namelist()
    assert f"amberlight-1.2.3/{home.PORTABLE}/" in names
    assert {"amberlight-1.2.3/amberlight.exe", "amberlight-1.2.3/_internal/data.txt"} <= set(names)


def test_manifests_say_where_the_files_are_and_what_they_are(tmp_path: Path) -> None:
    """winget wants hashes in capitals."""

    setup, archive = tmp_path / "a-setup.exe", tmp_path / "a.zip"
    setup.write_bytes(b"setup")
    archive.write_bytes(b"archive")
    deliver.write_manifests("1.2.3", f"{URL}/", setup, archive, tmp_path)
    read = {path.name: YAML(typ="safe").load(path.read_text()) for path in (tmp_path / "winget").iterdir()}
    assert {"version", "installer", "defaultLocale"} == {each["ManifestType"] for each in read.values()}
    for name, each in read.items():
        assert name.startswith(each["PackageIdentifier"])
        assert ("1.2.3", "1.12.0") == (each["PackageVersion"], each["ManifestVersion"])
    (installer,) = read["Amberlight.Amberlight.installer.yaml"]["Installers"]
    assert (f"{URL}/a-setup.exe", deliver.digest(setup).upper()) == tuple(
        installer[key] for key in ("InstallerUrl", "InstallerSha256")
    )
    scoop = json.loads((tmp_path / "scoop/amberlight.json").read_text())
    assert {"url": f"{URL}/a.zip", "hash": deliver.digest(archive)} == scoop["architecture"]["64bit"]
    assert ("amberlight-1.2.3", home.PORTABLE) == (scoop["extract_dir"], scoop["persist"])


def written() -> dict[str, dict[str, object]]:
    """Each manifest by its kind."""
    made = manifests.Delivery("1.2.3", URL, "a-setup.exe", "a" * 64, "a.zip", "b" * 64, "2026-01-31")
    read = [YAML(typ="safe").load(text) for text in manifests.winget(made).values()]
    return {**{each["ManifestType"]: each for each in read}, "scoop": json.loads(manifests.scoop(made))}


@pytest.mark.parametrize("kind", FORMS)
def test_manifests_have_the_form_that_is_wanted(kind: str) -> None:
    """Every key is known and there, and of its form."""

    form = {"required": list(FORMS[kind]), "properties": FORMS[kind], "additionalProperties": False}
    assert [] == [error.message for error in Draft7Validator(form).iter_errors(written()[kind])]


@pytest.mark.skipif(not SCHEMAS, reason="AMBERLIGHT_SCHEMAS names no directory with the published schemas")
@pytest.mark.parametrize("kind", FORMS)
def test_manifests_fit_the_published_schemas(kind: str) -> None:
    """winget's, of the version that the manifests name, and Scoop's, as their projects publish them."""

    name = "schema.json" if kind == "scoop" else f"manifest.{kind}.{manifests.SCHEMA}.json"
    schema = json.loads(Path(SCHEMAS, name).read_text(encoding="utf-8-sig"))
    assert [] == [error.message for error in Draft7Validator(schema).iter_errors(written()[kind])]


def test_the_installer_knows_the_names_of_the_program() -> None:
    """The key that a login reads, the id of notifications, the directory that makes the archive portable."""

    text = SCRIPT.read_text(encoding="utf-8")
    defined = dict(re.findall(r'^!define (\w+) "([^"]*)"', text, flags=re.MULTILINE))
    current = defined["CURRENT"]
    assert windows.RUN == f"{current}\\Run"
    assert windows.APPROVED == defined["APPROVED"].replace("${CURRENT}", current)
    assert windows.NAME == defined["NAME"] == defined["ID"]
    assert 'app_name: str = "Amberlight"' in (ROOT / "trayapp/tray/notify.py").read_text(encoding="utf-8")
    assert home.PORTABLE == deliver.PORTABLE
    assert deliver.current_version() == __version__


def test_the_installer_needs_no_administrator() -> None:
    """It writes below the user's own directories and into the user's own hive."""

    text = SCRIPT.read_text(encoding="utf-8")
    assert "\nRequestExecutionLevel user\n" in text
    assert not re.search(r"\b(HKLM|SHCTX|HKCR|SetShellVarContext all|\$PROGRAMFILES)\b", text)
    for box in re.findall(r"MessageBox(?:[^\n]*\\\n)*[^\n]*", text):
        assert "/SD" in box, "a silent run would wait for an answer"


@pytest.mark.build
@pytest.mark.skipif(shutil.which("makensis") is None, reason="makensis is not here")
def test_the_command_makes_setup_archive_and_manifests(program: Path, tmp_path: Path) -> None:
    """makensis warns of nothing. Without a URL there are no manifests."""

    command = [
        sys.executable,
        str(INSTALLER / "deliver.py"),
        "--program",
        str(program),
        "--dist",
        str(tmp_path / "dist"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    made = {path.name for path in (tmp_path / "dist").iterdir()}
    assert {f"amberlight-{__version__}-setup.exe", f"amberlight-{__version__}-windows.zip"} == made
    subprocess.run([*command, "--url", URL], capture_output=True, check=True)
    assert (tmp_path / "dist/scoop/amberlight.json").is_file()
