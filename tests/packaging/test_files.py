"""The files of an installation beside the code: wheel, sdist, desktop entries, metainfo, systemd unit, PyInstaller spec."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests import ROOT
from trayapp import __version__
from trayapp.autostart import macos

LINUX = ROOT / "packaging" / "linux"
ENTRIES = sorted(LINUX.glob("*.desktop"))
METAINFO = LINUX / "io.github.amberlight.metainfo.xml"
SPEC = ROOT / "packaging" / "pyinstaller" / "amberlight.spec"
PACKAGE_DATA = {".png", ".html", ".css", ".js", ".svg", ".typed"}


def validator(name: str) -> str:
    """The path of a validator; skips the test without it, and fails under CI."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{name} is not here")
    if found is None:
        pytest.skip(f"{name} is not here")
    return found


def entry(path: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path)
    return parser["Desktop Entry"]


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.name)
def test_desktop_entries_are_valid(path: Path) -> None:
    """No errors, warnings or hints."""

    done = subprocess.run([validator("desktop-file-validate"), path], capture_output=True, text=True, check=False)
    assert ("", 0) == (done.stdout, done.returncode)


def test_metainfo_is_valid() -> None:
    """AppStream's own tool reports nothing, in pedantic mode."""

    command = [validator("appstreamcli"), "validate", "--no-net", "--pedantic", "--no-color", str(METAINFO)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout
    assert not re.search(r"^[EWIP]: ", done.stdout, re.MULTILINE), done.stdout


def test_the_names_fit_together() -> None:
    """Notifications, menus and software centres match entries by them; the version is the program's."""

    metainfo = ElementTree.parse(METAINFO).getroot()
    assert METAINFO.name == f"{metainfo.findtext('id')}.metainfo.xml"
    assert metainfo.findtext("id") == macos.LABEL
    assert (LINUX / (metainfo.findtext("launchable") or "")).is_file()
    assert "amberlight" == metainfo.findtext("icon") == entry(LINUX / "amberlight.desktop")["Icon"]
    newest = metainfo.find("releases/release")
    assert newest is not None
    assert __version__ == newest.get("version")


def test_a_package_starts_nothing_unasked() -> None:
    """Its autostart entry is switched off until a user switches it on."""

    assert "true" == entry(LINUX / "autostart.desktop")["Hidden"]
    assert "Hidden" not in entry(LINUX / "amberlight.desktop")


def test_the_unit_runs_without_an_icon() -> None:
    """The service gets the time to store a login, and no restriction that would block the keyring."""

    parser = configparser.ConfigParser(interpolation=None, strict=False)  # SystemCallFilter is there twice
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(ROOT / "packaging/systemd/amberlight.service")
    service = parser["Service"]
    assert service["ExecStart"].split() == ["/usr/bin/amberlight", "run", "--no-tray"]
    assert int(service["TimeoutStopSec"]) > 10
    assert "AF_NETLINK" in service["RestrictAddressFamilies"]
    assert {"PrivateUsers", "ProtectHome", "PrivateTmp", "ProtectSystem"} & set(service) == set()


def test_the_unit_starts_under_a_users_systemd() -> None:
    """It has no option that fails there with 218/CAPABILITIES, as on Debian 12."""

    text = (ROOT / "packaging/systemd/amberlight.service").read_text()
    fatal = ("ProtectClock", "ProtectKernelLogs", "ProtectKernelModules", "PrivateDevices", "CapabilityBoundingSet")
    assert [] == re.findall(rf"^(?:{'|'.join(fatal)})=", text, re.MULTILINE)


def test_the_unit_opens_no_browser() -> None:
    """A browser would run without its sandbox and be killed with the service, so the unit has no display."""

    text = (ROOT / "packaging/systemd/amberlight.service").read_text()
    assert "\nUnsetEnvironment=DISPLAY WAYLAND_DISPLAY BROWSER\n" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """It reports no unknown or invalid line."""

    unit = tmp_path / "amberlight.service"
    text = (ROOT / "packaging/systemd/amberlight.service").read_text()
    unit.write_text(text.replace("/usr/bin/amberlight", sys.executable))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", unit], capture_output=True, text=True, check=False, env=environment
    )
    assert "amberlight.service" not in done.stdout + done.stderr


# --- the frozen program ----------------------------------------------------------------------------------------------


def test_the_spec_is_valid() -> None:
    """It is Python, and every file of ours that it names exists."""

    tree = ast.parse(SPEC.read_text())
    text = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for name in ("amberlight.icns", "amberlight.ico"):
        assert name in text
        assert (ROOT / "assets" / name).exists()
    assert "frozen.py" in text
    assert macos.LABEL in text
    ast.parse((SPEC.parent / "frozen.py").read_text())


def test_the_bundle_may_show_an_icon_and_has_none_in_the_dock() -> None:
    """By default PyInstaller marks a bundle with a console as one that shows nothing."""

    (properties,) = (
        node.value
        for node in ast.walk(ast.parse(SPEC.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "info_plist" and isinstance(node.value, ast.Dict)
    )
    read = {
        key.value: value.value
        for key, value in zip(properties.keys, properties.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    }
    assert (True, False) == (read["LSUIElement"], read["LSBackgroundOnly"])


def test_the_frozen_program_has_no_docstrings() -> None:
    """They would be 2 MB of the running app's memory. Nothing of ours reads one, and no `assert` of ours does anything."""

    options = [node for node in ast.walk(ast.parse(SPEC.read_text())) if isinstance(node, ast.keyword)]
    assert [2] == [ast.literal_eval(option.value) for option in options if option.arg == "optimize"]
    for path in (ROOT / "trayapp").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert "__doc__" not in names, path
        asserted = [inner for node in ast.walk(tree) if isinstance(node, ast.Assert) for inner in ast.walk(node.test)]
        assert not any(isinstance(inner, ast.Call | ast.NamedExpr | ast.Await) for inner in asserted), path


def test_the_frozen_program_starts_without_hooks_for_what_it_does_not_do() -> None:
    """PyInstaller runs them at the start of every command. anyio's source is there, so that it imports what is used."""

    text = SPEC.read_text()
    for hook in ("pyi_rth_multiprocessing", "pyi_rth_inspect", "pyi_rth_pkgutil"):
        assert hook in text
    assert 'collect_data_files("anyio", include_py_files=True' in text
    for path in (ROOT / "trayapp").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {"multiprocessing", "inspect", "pkgutil"} & imported, path


@pytest.mark.parametrize(
    ("arguments", "code"), [(["version"], 0), (["-m", "os", "x"], 2), (["-m", "trayapp.nowhere"], 1)]
)
def test_the_start_of_the_frozen_program(arguments: list[str], code: int) -> None:
    """It runs the command line, and as `-m` only our own modules."""

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LD_LIBRARY_PATH_ORIG": "/before"}
    done = subprocess.run(
        [sys.executable, "-OO", SPEC.parent / "frozen.py", *arguments],  # as the spec has it
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert code == done.returncode
    assert (f"amberlight {__version__}\n" if code == 0 else "") == done.stdout


def test_a_package_needs_a_program(tmp_path: Path) -> None:
    """Without a frozen program the error says what to do first."""

    script = ROOT / "packaging/deb/build.py"
    command = [sys.executable, str(script), "--program", str(tmp_path), "--dist", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert "run packaging/pyinstaller/freeze.py first" in done.stderr


@pytest.mark.build
@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not here")
def test_a_package_has_what_it_should(tmp_path: Path) -> None:
    """Owners, modes, the link and the desktop files are right, and a second build is identical."""

    program = tmp_path / "amberlight"
    (program / "_internal").mkdir(parents=True)
    (program / "_internal/library.so").write_bytes(b"x")
    (program / "amberlight").write_text("#!/bin/sh\n")
    (program / "amberlight").chmod(0o777)
    packages = []
    for place in ("one", "two"):
        script = ROOT / "packaging/deb/build.py"
        command = [sys.executable, str(script), "--program", str(program), "--dist", str(tmp_path / place)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        packages.append(Path(done.stdout.strip()))
    assert packages[0].read_bytes() == packages[1].read_bytes()
    listing = subprocess.run(["dpkg-deb", "-c", packages[0]], capture_output=True, text=True, check=True).stdout
    rows = {row.split(maxsplit=5)[5]: row.split()[:2] for row in listing.splitlines()}
    assert {"root/root"} == {owner for _, owner in rows.values()}
    assert {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"} == {mode for mode, _ in rows.values()}
    assert ["./opt/amberlight/amberlight"] == [name for name, (mode, _) in rows.items() if mode == "-rwxr-xr-x"]
    assert "./usr/bin/amberlight -> /opt/amberlight/amberlight" in rows
    for name in ("usr/share/applications/amberlight.desktop", "etc/xdg/autostart/amberlight.desktop"):
        assert f"./{name}" in rows
    control = subprocess.run(["dpkg-deb", "-f", packages[0]], capture_output=True, text=True, check=True).stdout
    assert f"Version: {__version__}\n" in control


# --- wheel and sdist -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[set[str], set[str]]]:
    """The names in the wheel and in the sdist, built by the backend that pyproject.toml names."""
    setuptools = pytest.importorskip("setuptools", reason="setuptools is not installed here")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("this setuptools is too old for pyproject.toml")
    place = tmp_path_factory.mktemp("dist")
    source = place / "source"
    source.mkdir()
    for name in ("trayapp", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    program = "import sys; from setuptools import build_meta as b; d = sys.argv[1]; b.build_wheel(d); b.build_sdist(d)"
    subprocess.run([sys.executable, "-c", program, place], cwd=source, check=True, capture_output=True)
    (wheel,), (sdist,) = place.glob("*.whl"), place.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as tar:
        yield set(archive.namelist()), {name.split("/", 1)[-1] for name in tar.getnames()}


@pytest.mark.build
def test_wheel_and_sdist_hold_the_whole_package(built: tuple[set[str], set[str]]) -> None:
    """Every module, and every image and page that belongs to it."""

    files = {path for path in (ROOT / "trayapp").rglob("*") if path.suffix in {".py", *PACKAGE_DATA} and path.is_file()}
    wanted = {path.relative_to(ROOT).as_posix() for path in files}
    for names in built:
        assert set() == wanted - names


@pytest.mark.build
def test_the_wheel_holds_nothing_else(built: tuple[set[str], set[str]]) -> None:
    """No tests and no tools; and it has the command."""

    wheel, _ = built
    tops = {name.split("/")[0] for name in wheel}
    assert {"trayapp", f"amberlight-{__version__}.dist-info"} == tops
    assert f"amberlight-{__version__}.dist-info/entry_points.txt" in wheel
