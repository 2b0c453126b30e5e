"""The installation in which the benchmarks run Amberlight: made once, without what only the tests need."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT

# Stands in for the system's Python: makes an environment whose pip records how it was called.
MAKES = """#!/bin/sh
for where; do :; done
mkdir -p "$where/bin"
printf '#!/bin/sh\\necho "$@" >>"%s"; exit {code}\\n' "{calls}" >"$where/bin/python"
chmod +x "$where/bin/python"
"""


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.syspath_prepend(ROOT / "packaging/bench")
    monkeypatch.delenv("AMBERLIGHT_BENCH_PYTHON", raising=False)
    module = importlib.import_module("peer")
    module.own_python.cache_clear()
    monkeypatch.setattr(module, "cached", lambda name: tmp_path / name)
    yield module
    module.own_python.cache_clear()


def system_python(peer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int) -> Path:
    """Put the stand-in into place; pip ends with `code`. Returns the file of its calls."""
    calls, program = tmp_path / "calls", tmp_path / "python"
    program.write_text(MAKES.format(calls=calls, code=code))
    program.chmod(0o700)
    monkeypatch.setattr(peer, "PYTHON", str(program))
    return calls


def test_it_is_made_once_and_has_the_dependencies_alone(
    peer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second script finds it. Nothing of the extra `test` is in it, such as selenium, which brings trio."""

    calls = system_python(peer, monkeypatch, tmp_path, 0)
    python = peer.own_python()
    peer.own_python.cache_clear()

    assert python == peer.own_python()
    assert Path(python).parent.parent.name.startswith("own-")
    (installed,) = calls.read_text().splitlines()
    assert "aiohttp" in installed
    assert "constraints.txt" in installed
    assert not [name for name in ("selenium", "trio", "pytest") if name in installed]


def test_without_it_the_scripts_own_python_runs_and_the_reason_is_printed(
    peer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half an installation isn't used by the next script either."""

    system_python(peer, monkeypatch, tmp_path, 1)
    assert sys.executable == peer.own_python()
    assert f"measured with {sys.executable} instead: " in capsys.readouterr().err
    peer.own_python.cache_clear()
    assert sys.executable == peer.own_python()


def test_a_python_that_is_named_is_used(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed for it."""

    monkeypatch.setattr(peer, "PYTHON", "/nowhere/python")
    monkeypatch.setenv("AMBERLIGHT_BENCH_PYTHON", "/some/python")
    assert "/some/python" == peer.own_python()
