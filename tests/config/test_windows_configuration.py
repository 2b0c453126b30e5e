"""Configuration on Windows, where every user may make the site-wide file: it counts only if an administrator wrote it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trayapp.config import loader
from trayapp.config.loader import Paths, load

WORKLOAD = '[workloads.{}]\nurl = "https://notes.example/mcp"\n'


class Privacy:
    """The access lists of a pretend Windows."""

    def __init__(self, **said: str) -> None:
        self.said = said

    def changed_by_others(self, file: Path) -> str:
        return self.said[file.parent.name]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths.under(tmp_path)
    for file, name in ((paths.site_config_file, "theirs"), (paths.config_file, "mine")):
        file.parent.mkdir()
        file.write_text(WORKLOAD.format(name))
    return paths


@pytest.mark.parametrize("problem", ["can be changed by other users", "belongs to another user"])
def test_a_site_file_that_another_user_wrote_is_not_used(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    """It is said, and harms nothing else: otherwise everybody could keep everybody's Amberlight from starting."""

    monkeypatch.setattr(loader, "PRIVACY", Privacy(site=problem, config=""))
    config = load(paths, {})
    assert ["mine"] == list(config.workloads)
    said = f"{paths.site_config_file} isn't used, because it {problem}. Only an administrator may write it"
    assert (said,) == config.warnings


def test_one_of_an_administrator_is_used(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one's own that others may change is used with a warning, as elsewhere."""

    said = "can be changed by other users"
    monkeypatch.setattr(loader, "PRIVACY", Privacy(site="", config=said))
    config = load(paths, {})
    assert {"mine", "theirs"} == config.workloads.keys()
    assert (f"{paths.config_file} {said}. Change that in its properties, under Security",) == config.warnings


@pytest.mark.skipif(sys.platform != "win32", reason="access lists are Windows'")
def test_the_access_list_itself(paths: Paths) -> None:
    """Opened to everybody, it isn't used any more."""

    from tests.system.everybody import grant

    assert {"mine", "theirs"} == load(paths, {}).workloads.keys()
    grant(paths.site_config_file)
    assert ["mine"] == list(load(paths, {}).workloads)
    grant(paths.config_file)
    assert 2 == len(load(paths, {}).warnings)
