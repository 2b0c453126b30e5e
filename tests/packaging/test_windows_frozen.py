"""What is frozen for Windows: every wheel by version and hash, and still what the project asks for."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT

INSTALLER = ROOT / "packaging/windows/installer"
WINDOWS = {
    "implementation_name": "cpython",
    "os_name": "nt",
    "platform_machine": "AMD64",
    "platform_python_implementation": "CPython",
    "platform_system": "Windows",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "win32",
}
RENEW = "run packaging/windows/installer/lock.py"


def lines(name: str) -> list[str]:
    text = (INSTALLER / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


PINNED = {line.partition("==")[0]: line.split("==")[1].split()[0] for line in lines("frozen.txt")}


def meant(texts: Iterable[str], extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """The requirements that hold on Windows."""
    for text in texts:
        wanted = Requirement(text)
        environments = [{**WINDOWS, "extra": extra} for extra in ("", *extras)]
        if wanted.marker is None or any(wanted.marker.evaluate(each) for each in environments):
            yield wanted


def asked() -> list[Requirement]:
    """What the project and the freezer ask for, and what that needs, as far as it is installed here, too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found, seen = [*meant(project["dependencies"]), *meant(lines("frozen.in"))], set[tuple[str, ...]]()
    for wanted in found:  # which grows
        key = (canonicalize_name(wanted.name), *sorted(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found += meant(requires(wanted.name) or (), wanted.extras)
        except PackageNotFoundError:
            continue
    return found


def installed_here(name: str) -> bool:
    try:
        requires(name)
    except PackageNotFoundError:
        return False
    return True


def test_every_wheel_has_its_hash() -> None:
    """And none has an address, so any index can serve it."""

    pattern = r"[a-z0-9-]+==[\w.]+( --hash=sha256:[0-9a-f]{64})+"
    assert [] == [line for line in lines("frozen.txt") if not re.fullmatch(pattern, line)]
    uv = (ROOT / "packaging/windows/uv.txt").read_text(encoding="utf-8").split("\n", 1)[1]
    assert re.fullmatch(r"uv==[\d.]+( \\\n    --hash=sha256:[0-9a-f]{64})+\n", uv)


def test_the_lane_installs_nothing_else() -> None:
    """The freezer's environment is made from the pinned wheels alone, each of them checked."""

    script = (INSTALLER / "release.sh").read_text(encoding="utf-8")
    (command,) = re.findall(r"pip install(?:[^\n]*\\\n)*[^\n]*", script)
    assert '--no-deps --require-hashes -r "$FREEZER_LOCK"' in command


def test_versions_are_those_that_were_tested() -> None:
    """Those of constraints.txt."""

    constraints = (ROOT / "packaging/constraints.txt").read_text(encoding="utf-8").splitlines()
    tested: dict[str, str] = {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in constraints)
        if version
    }
    wrong = {name: (version, tested[name]) for name, version in PINNED.items() if version != tested.get(name, version)}
    assert {} == wrong, RENEW


def test_all_that_the_project_asks_for_is_pinned() -> None:
    """In a version that suits; and what its packages need, too."""

    wrong = [
        str(wanted)
        for wanted in asked()
        if (version := PINNED.get(canonicalize_name(wanted.name))) is None
        or not wanted.specifier.contains(version, prereleases=True)
    ]
    assert [] == wrong, RENEW


def test_nothing_is_pinned_that_nobody_asks_for() -> None:
    """Who asks for Windows' own packages, which aren't installed here, only Windows' resolver knows."""

    wanted = {canonicalize_name(each.name) for each in asked()} | {"packaging", "setuptools"}  # PyInstaller asks
    assert [] == [name for name in PINNED if name not in wanted and installed_here(name)], RENEW


def test_a_lock_keeps_name_version_and_hashes() -> None:
    """Sorted, a line a package."""

    sys.path.insert(0, str(INSTALLER))
    try:
        import lock
    finally:
        sys.path.remove(str(INSTALLER))
    first, second = "0" * 64, "1" * 64
    packages = [
        {"name": "b", "version": "2", "wheels": [{"hashes": {"sha256": second}}, {"hashes": {"sha256": first}}]},
        {"name": "a", "version": "1.0", "wheels": [{"url": "https://index.example/a", "hashes": {"sha256": first}}]},
    ]

    text = lock.locked(packages)

    assert (
        f"a==1.0 --hash=sha256:{first}\nb==2 --hash=sha256:{first} --hash=sha256:{second}\n" == text.split("\n", 1)[1]
    )
