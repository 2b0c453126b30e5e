"""Set-up on a fresh machine: the locked versions, the one script dev.sh, and the version number."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path

import pytest

from tests import ROOT
from trayapp import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = [line for line in (ROOT / "packaging/constraints.txt").read_text().splitlines() if not line.startswith("#")]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


LOCKED = {canonical(line.split("==")[0]): line.split("==")[1] for line in LINES}


def test_only_names_and_versions() -> None:
    """The locked list holds no URL, no path and no editable install, so any index can serve it."""

    assert [] == [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*", line)]
    assert sorted(LOCKED) == sorted(canonical(line.split("==")[0]) for line in LINES)


def test_every_dependency_is_locked() -> None:
    """Every dependency of the project on Linux, and every dependency of those, has its version in the list."""

    wanted = [
        *PROJECT["dependencies"],
        *PROJECT["optional-dependencies"]["test"],
        *PROJECT["optional-dependencies"]["dev"],
    ]
    names = {canonical(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in wanted if "win32" not in line}  # type: ignore[index]
    names -= {"amberlight"}
    for name in sorted(names):
        for line in requires(name) or ():
            if ";" not in line:
                names.add(canonical(re.match(r"[A-Za-z0-9._-]+", line)[0]))  # type: ignore[index]

    assert set() == names - set(LOCKED)


def test_packages_are_looked_for_in_the_package_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """build/ has Wine's directory, with a link to the whole file system: pip would search it for minutes."""

    from setuptools import find_namespace_packages, find_packages  # type: ignore[import-untyped]

    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    (tmp_path / "trayapp/core").mkdir(parents=True)
    (tmp_path / "trayapp/__init__.py").touch()
    (tmp_path / "trayapp/core/__init__.py").touch()
    (tmp_path / "build/windows").mkdir(parents=True)
    seen: list[str] = []
    scandir = os.scandir

    def recorded(place: str) -> object:
        seen.append(str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", recorded)
    find = find_namespace_packages if options.pop("namespaces", True) else find_packages
    assert ["trayapp", "trayapp.core"] == sorted(find(str(tmp_path), **options))
    assert [] == [place for place in seen if "windows" in place]


def test_nothing_is_optional_that_is_imported() -> None:
    """`pipx install .` brings all that any part of the program imports, the process of `/mcp` included."""

    offered = packages_distributions()
    imported = set[str]()
    for file in (ROOT / "trayapp").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            imported |= {canonical(each) for name in names for each in offered.get(name.partition(".")[0], ())}
    brought, todo = set[str](), [*PROJECT["dependencies"]]
    while todo:
        line = todo.pop()
        name = canonical(re.match(r"[A-Za-z0-9._-]+", line)[0])  # type: ignore[index]
        if name not in brought and "extra ==" not in line and "win32" not in line:
            brought.add(name)
            todo += requires(name) or () if name in LOCKED else ()

    assert "mcp" in imported
    assert set() == imported - brought - {
        "amberlight",
        "pytest",
    }  # the fixtures of oauthtest are loaded by pytest alone
    assert {"test", "dev"} == set(PROJECT["optional-dependencies"])


def test_one_version() -> None:
    """The package's version is the one in the code."""

    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert "version" in PROJECT["dynamic"]
    try:
        assert __version__ == version("amberlight")
    except PackageNotFoundError:
        pytest.skip("Amberlight is not installed here, only checked out")


@pytest.mark.parametrize(("arguments", "code"), [(["help"], 0), ([], 0), (["frob"], 2)])
def test_the_script_explains_itself(arguments: list[str], code: int) -> None:
    """Without a known command the script creates nothing and shows its usage."""

    done = subprocess.run(["bash", ROOT / "packaging/dev.sh", *arguments], capture_output=True, text=True, check=False)

    assert code == done.returncode
    assert "usage: packaging/dev.sh COMMAND" in done.stdout + done.stderr


def test_a_wrong_python_is_named(tmp_path: Path) -> None:
    """An unsuitable interpreter is named, and nothing is created."""

    script = tmp_path / "packaging" / "dev.sh"
    script.parent.mkdir()
    script.write_text((ROOT / "packaging/dev.sh").read_text())

    done = subprocess.run(
        ["bash", script, "lint"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": "/bin/false"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    assert "dev.sh: PYTHON=/bin/false is not a Python of version 3.11 or newer.\n" == done.stderr
    assert ["packaging"] == [file.name for file in tmp_path.iterdir()]


FAKE_TOOL = """#!/usr/bin/env bash
# A fake of the tools in the virtual environment: prints its arguments, and fails for those that the test names.
asked="${0##*/} $*"
case $asked in "python -c "* | "python -m pip "* | "python --version") exit 0 ;; esac
printf 'asked: %s\\n' "$asked"
case $asked in $FAILS) exit 1 ;; esac
"""


FAKE_LANE = """WINDOWS_TESTS=tests/system
windows_missing() { :; }
make_windows() { :; }
test_windows() { pytest -m windows "$@"; }
"""
FAKE_SCREEN = """test_windows_screen() { pytest -m wine "$@"; }
"""
LINT = ("ruff check*", "ruff format*", "lint-imports*", "mypy*")
PARTS = {  # of each command, as the patterns of a shell
    "test": (
        *LINT,
        "python -m pytest*-m slow",
        "python -m pytest*--cov=trayapp.core*tests/core",
        "python -m pytest*-m not (slow or alone or *--ignore=tests/core",
        "python -m pytest*-m (* and not alone",
        "python -m pytest*-m alone",
        "python -m pytest -m windows*",
        "python -m pytest -m wine*",
        "python -m coverage report*--fail-under=100",
    ),
    "test --fast": (
        *LINT,
        "python -m pytest*-m not (slow or build or alone or *",
        "python -m pytest*-m alone and not (*",
    ),
    "test -x tests/core": (*LINT, "python -m pytest -x tests/core"),
    "lint": LINT,
}


def run_with_fake_tools(place: Path, *arguments: str, fails: str = "nothing") -> subprocess.CompletedProcess[str]:
    """Run the script in a checkout with fake tools; `left` is its temporary directory."""
    checkout, left = place / "checkout", place / "left"
    for name in ("pyproject.toml", "packaging/constraints.txt", "packaging/dev.sh"):
        (checkout / name).parent.mkdir(exist_ok=True, parents=True)
        (checkout / name).write_text((ROOT / name).read_text())
    (checkout / "packaging/windows").mkdir()
    (checkout / "packaging/windows/lane.sh").write_text(FAKE_LANE)
    (checkout / "packaging/windows/screen.sh").write_text(FAKE_SCREEN)
    tools = [f".venv/bin/{name}" for name in ("python", "ruff", "mypy", "lint-imports")]
    for name in (*tools, "bin/dpkg-query"):
        program = checkout / name
        program.parent.mkdir(exist_ok=True, parents=True)
        program.write_text("#!/bin/sh\nprintf installed\n" if "dpkg" in name else FAKE_TOOL)
        program.chmod(0o755)
    left.mkdir()
    return subprocess.run(
        ["bash", checkout / "packaging/dev.sh", *arguments],
        env={"PATH": f"{checkout}/bin:/usr/bin:/bin", "TMPDIR": str(left), "FAILS": fails},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def invocations(output: str) -> list[str]:
    return [line.removeprefix("asked: ") for line in output.splitlines() if line.startswith("asked: ")]


@pytest.mark.parametrize(
    ("command", "fails"), [(command, part) for command, parts in PARTS.items() for part in ("nothing", *parts)]
)
def test_a_command_fails_if_a_part_fails_and_only_then(tmp_path: Path, command: str, fails: str) -> None:
    """The exit code is right; every part runs and shows its output, and no temporary file is left."""

    done = run_with_fake_tools(tmp_path, *command.split(), fails=fails)

    assert (0 if fails == "nothing" else 1) == done.returncode
    assert ("something above is not right" in done.stderr) == (fails != "nothing" and command != "lint")
    assert len(PARTS[command]) == len(invocations(done.stdout))
    assert [] == [
        part for part in PARTS[command] if not any(fnmatchcase(line, part) for line in invocations(done.stdout))
    ]
    assert [] == list((tmp_path / "left").iterdir())


BARE_PYTHON = """#!/usr/bin/env bash
# A fake Python without ensurepip, with pip if $PIP says so; virtualenv copies the fake tools.
case "$*" in
    *ensurepip*) exit 1 ;;
    "-m pip --version") [ "$PIP" = yes ] ;;
    "-m pip install"*" --target "*virtualenv*) printf 'asked: pip gets virtualenv\\n' ;;
    "-m virtualenv "*) [ -d "$PYTHONPATH" ] && mkdir -p .venv/bin && cp tools/* .venv/bin ;;
    *"%d.%d"*) printf 3.11 ;;
    --version) printf 'Python 3.11.2\\n' ;;
esac
"""


def run_with_bare_python(place: Path, *, pip: bool) -> subprocess.CompletedProcess[str]:
    """Run `lint` where no Python has ensurepip, and nothing can be installed."""
    checkout = place / "checkout"
    files = dict.fromkeys(("tools/python", "tools/ruff", "tools/mypy", "tools/lint-imports"), FAKE_TOOL)
    files |= dict.fromkeys(("bin/uv", "bin/apt-get", "bin/sudo"), "#!/bin/sh\nexit 1\n")
    files |= {f"bin/python3{minor}": "#!/bin/sh\nexit 1\n" for minor in ("", ".12", ".13", ".14")}
    files["bin/python"] = files["bin/python3"]
    files["bin/python3.11"] = BARE_PYTHON
    files |= {name: (ROOT / name).read_text() for name in ("pyproject.toml", "packaging/constraints.txt")}
    files["packaging/dev.sh"] = (ROOT / "packaging/dev.sh").read_text()
    for name, text in files.items():
        (checkout / name).parent.mkdir(exist_ok=True, parents=True)
        (checkout / name).write_text(text)
        (checkout / name).chmod(0o755)
    return subprocess.run(
        ["bash", checkout / "packaging/dev.sh", "lint"],
        env={"PATH": f"{checkout}/bin:/usr/bin:/bin", "TMPDIR": str(place), "FAILS": "", "PIP": "yes" if pip else "no"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_without_ensurepip_needs_no_root(tmp_path: Path) -> None:
    """Its pip gets virtualenv, for this one use."""

    done = run_with_bare_python(tmp_path, pip=True)

    assert 0 == done.returncode, done.stderr
    assert ["pip gets virtualenv", "ruff check ."] == invocations(done.stdout)[:2]
    assert ["checkout"] == [file.name for file in tmp_path.iterdir()]


def test_a_python_without_pip_too_names_the_package(tmp_path: Path) -> None:
    """One sentence, and nothing half made."""

    done = run_with_bare_python(tmp_path, pip=False)

    assert 1 == done.returncode
    assert (
        "dev.sh: python3.11 can't make a virtual environment, and there is no pip to get virtualenv with."
        " Install the package python3.11-venv (or python3-pip), or name another Python with PYTHON=/path/to/python."
    ) == done.stderr.splitlines()[-1]
    assert not (tmp_path / "checkout" / ".venv").exists()


def test_a_python_with_ensurepip_is_preferred(tmp_path: Path) -> None:
    """Even if a newer one is there."""

    functions = (ROOT / "packaging/dev.sh").read_text().partition("find_python() {")[2].partition("\n}\n")[0]
    stubs = "new_enough() { true; }; has_venv() { [ $1 = $GOOD ]; }; fail() { exit 1; }"

    for good, found in (("python3.11", "python3.11"), ("none", "python3.13")):
        command = f"{stubs}\nfind_python() {{{functions}\n}}\nfind_python"
        done = subprocess.run(["bash", "-euc", command], env={"GOOD": good}, capture_output=True, text=True, check=True)
        assert found == done.stdout


FLAKY = """
import os
from pathlib import Path

def test_fails_once():
    mark = Path(os.environ["MARK"])
    seen = mark.exists()
    mark.touch()
    assert seen

def test_fails_as_told():
    assert os.environ["FAILS"] != "always"

def test_passes():
    pass
"""


@pytest.mark.parametrize(
    ("tests", "fails", "code"),
    [(FLAKY, "once", 0), (FLAKY, "always", 1), ("def test_passes(): pass", "never", 0), ("import nowhere", "all", 1)],
)
def test_what_failed_beside_others_runs_once_more(tmp_path: Path, tests: str, fails: str, code: int) -> None:
    """What fails twice fails the run; what passes the second time is reported."""

    (tmp_path / "test_it.py").write_text(tests)
    done = retried(tmp_path, fails)
    assert code == done.returncode, done.stdout
    assert (fails != "never") == ("failed; once more, alone:" in done.stderr)
    assert (fails == "once") == ("they passed alone" in done.stderr)


def test_many_failures_are_not_run_again(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("\n".join(f"def test_{n}(): assert 0" for n in range(6)))
    done = retried(tmp_path, "six")
    assert 1 == done.returncode
    assert 1 == done.stdout.count("6 failed")
    assert "" == done.stderr


def retried(place: Path, fails: str) -> subprocess.CompletedProcess[str]:
    """Run the tests in `place` by the script's `pytest_retried`."""
    script = (ROOT / "packaging/dev.sh").read_text()
    parts = [
        re.search(rf"^{name}\(\).*?(?:\}}$|^\}}$)", script, re.M | re.S) for name in ("say", "pytest", "pytest_retried")
    ]
    assert all(parts)
    functions = "\n".join(part[0] for part in parts if part)
    (place / "outputs").mkdir()
    options = f"-q -W ignore --rootdir {place} -c {os.devnull} --dist loadfile -n 2 {place}"
    return subprocess.run(
        ["bash", "-euc", f"{functions}\npytest_retried {options} || exit $?"],
        cwd=place,
        env={
            **os.environ,
            "VENV": sys.prefix,
            "outputs": str(place / "outputs"),
            "MARK": str(place / "mark"),
            "FAILS": fails,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_fast_takes_no_options(tmp_path: Path) -> None:
    """They could be meant for either of its two runs of pytest, so nothing runs."""

    done = run_with_fake_tools(tmp_path, "test", "--fast", "tests/core")

    assert 1 == done.returncode
    assert "dev.sh: test --fast takes no further options.\n" in done.stderr
    assert [] == invocations(done.stdout)
    assert [] == list((tmp_path / "left").iterdir())


def test_ci_runs_the_test_command() -> None:
    """CI runs the README's test command and nothing else."""

    lines = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line and not line.startswith("#")]

    assert ['exec bash "$(dirname "$0")/../packaging/dev.sh" test "$@"'] == lines
