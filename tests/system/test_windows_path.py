"""Our directory in the user's search path: added once, removed alone, and nothing else is touched."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from trayapp.cli import main, search_path
from trayapp.system import windows_path
from trayapp.system.windows_path import change, with_directory, without_directory

OURS = r"C:\Users\Zoë Ångström\AppData\Local\Programs\Amberlight"
LONG = ";".join(rf"C:\tools\{number}" for number in range(300))  # more than 1,024 characters, and than 2,047


@pytest.mark.parametrize("before", ["", r"C:\a", r"%USERPROFILE%\bin;C:\a", LONG, r"C:\a;;C:\b"])
def test_added_and_removed(before: str) -> None:
    """What was there before is there after."""
    added = with_directory(before, OURS)

    assert added.endswith(OURS)
    assert added == with_directory(added, OURS)
    assert before == without_directory(added, OURS)


@pytest.mark.parametrize("entry", [OURS, OURS.upper(), OURS + "\\", f'"{OURS}"', f" {OURS}"])
def test_an_entry_in_another_spelling(entry: str) -> None:
    """It is the same directory, and is neither added again nor left behind."""
    path = rf"C:\a;{entry};C:\b"

    assert path == with_directory(path, OURS)
    assert r"C:\a;C:\b" == without_directory(path, OURS)


def test_another_directory_stays() -> None:
    """Also one whose name begins with ours."""
    assert rf"{OURS} 2;{OURS}\x" == without_directory(rf"{OURS} 2;{OURS};{OURS}\x", OURS)


def test_one_semicolon_at_the_end_is_enough() -> None:
    """As some programs leave it."""
    assert rf"C:\a;{OURS}" == with_directory("C:\\a;", OURS)


@pytest.mark.parametrize("words", [[], ["add"], ["add", "x"], ["other"]])
def test_only_the_installed_program_does_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """From a checkout or with pipx, the directory isn't ours to add."""
    assert 2 == main(["search-path", *words])


@pytest.mark.skipif(sys.platform == "win32", reason="this is Windows")
def test_elsewhere_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no registry."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert 1 == search_path.search_path(["add"])


if sys.platform == "win32":
    import winreg

    @pytest.fixture
    def registry() -> Iterator[None]:
        """The value as it was."""
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, windows_path.KEY) as key:
            try:
                before = winreg.QueryValueEx(key, windows_path.NAME)
            except FileNotFoundError:
                before = None
            yield
            if before is None:
                winreg.DeleteValue(key, windows_path.NAME)
            else:
                winreg.SetValueEx(key, windows_path.NAME, 0, before[1], before[0])

    @pytest.mark.usefixtures("registry")
    @pytest.mark.parametrize("kind", [winreg.REG_SZ, winreg.REG_EXPAND_SZ])
    def test_in_the_registry(kind: int) -> None:
        """The kind of the value stays, and so does a long one."""
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, windows_path.KEY) as key:
            winreg.SetValueEx(key, windows_path.NAME, 0, kind, LONG)
            assert change(with_directory, OURS)
            assert (f"{LONG};{OURS}", kind) == winreg.QueryValueEx(key, windows_path.NAME)
            assert not change(with_directory, OURS)
            assert change(without_directory, OURS)
            assert (LONG, kind) == winreg.QueryValueEx(key, windows_path.NAME)
