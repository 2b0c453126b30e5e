"""From whom a workload was taken over, as its page is told."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests import ROOT
from trayapp.app.taken_over_from import taken_over_from
from trayapp.core.model import Spec
from trayapp.external import taken_over
from trayapp.external.taken_over import Records, TakenOver

URL = "https://github.example/mcp"
SPEC = Spec("github", URL)
RECORD = TakenOver("toolhive", "GitHub", URL, "http://127.0.0.1:21000/mcp", added=True, ran=True)

ABSENT = """
import asyncio, sys
from pathlib import Path
from trayapp.app.taken_over_from import taken_over_from
from trayapp.core.model import Spec

print(asyncio.run(taken_over_from(Spec("github", "https://github.example/mcp"), Path(sys.argv[1]))))
print(*sys.modules, sep="\\n")
"""


async def test_its_owner_is_named(tmp_path: Path) -> None:
    """As people call it; nobody for a workload that nobody had."""

    Records(tmp_path).keep("github", RECORD)
    assert "ToolHive" == await taken_over_from(SPEC, tmp_path)
    assert await taken_over_from(replace(SPEC, name="notes"), tmp_path) is None
    Records(tmp_path).keep("github", replace(RECORD, owner="later"))
    assert "later" == await taken_over_from(SPEC, tmp_path)


def test_nothing_is_loaded_before_the_first_take_over(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABSENT, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    answer, *modules = done.stdout.split()
    assert "None" == answer
    assert "trayapp.external.places" in modules
    assert not {"trayapp.external.taken_over", "trayapp.external.take_over", "trayapp.clients.files"} & {*modules}


async def test_after_a_rename(tmp_path: Path) -> None:
    """It follows the workload."""

    Records(tmp_path).keep("github", RECORD)
    Records(tmp_path).rename("github", "hub")
    assert "ToolHive" == await taken_over_from(replace(SPEC, name="hub"), tmp_path)
    assert await taken_over_from(SPEC, tmp_path) is None


@pytest.mark.parametrize(("added", "owner"), [(True, None), (False, "ToolHive")])
async def test_another_of_its_name(tmp_path: Path, added: bool, owner: str | None) -> None:
    """One that was added later isn't it. One that was here before is, whatever its address: it may be given back."""

    Records(tmp_path).keep("github", replace(RECORD, added=added))
    assert owner == await taken_over_from(replace(SPEC, url="https://other.example/mcp"), tmp_path)
    assert "ToolHive" == await taken_over_from(replace(SPEC, url=f"{URL}/"), tmp_path)


@pytest.mark.parametrize("text", ["", "{", '{"github": {"owner": "toolhive"}}', None])
async def test_a_record_that_cannot_be_read(tmp_path: Path, text: str | None) -> None:
    """Then nothing can be given back; None: a directory is in its place."""

    file = tmp_path / "take-overs.json"
    if text is None:
        file.mkdir()
    else:
        file.write_text(text)
    assert await taken_over_from(SPEC, tmp_path) is None


async def test_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page shows the rest of the workload."""

    Records(tmp_path).keep("github", RECORD)
    answers = threading.Event()

    class Hanging(Records):
        def get(self, name: str) -> TakenOver | None:
            answers.wait(10)
            return super().get(name)

    monkeypatch.setattr(taken_over, "Records", Hanging)
    try:
        assert await taken_over_from(SPEC, tmp_path, limit=0.01) is None
    finally:
        answers.set()
