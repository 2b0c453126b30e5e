"""How Windows knows this program: what is written to its registry, and that Setup.exe writes the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from trayapp.system import activation
from trayapp.tray import pixmap

SCRIPT = (ROOT / "packaging/windows/installer/amberlight.nsi").read_text(encoding="utf-8")


def test_setup_registers_the_same_names() -> None:
    """The identity in the registry and in the shortcut, and the address with nothing but itself as an argument."""

    assert f'!define ID "{activation.APP_ID}"' in SCRIPT
    assert f'!define SCHEME "{activation.SCHEME_KEY}"' in SCRIPT
    assert activation.APP_KEY == rf"Software\Classes\AppUserModelId\{activation.APP_ID}"
    (command,) = (line for line in SCRIPT.splitlines() if r"${SCHEME}\shell\open\command" in line)
    assert command.endswith("""'"$INSTDIR\\amberlightw.exe" activate "%1"'""")
    assert 1 == SCRIPT.count('DeleteRegKey HKCU "${SCHEME}"')
    assert "CLSID" not in SCRIPT.replace("CLSID_ShellLink", "").replace("ToastActivatorCLSID:", "")


def test_the_address_carries_nothing() -> None:
    """It is a constant without a secret and without a parameter."""

    assert "amberlight:show" == activation.SHOW_URI


@pytest.mark.skipif(sys.platform == "win32", reason="this is Windows")
def test_elsewhere_nothing_is_registered() -> None:
    """The module imports everywhere."""

    with pytest.raises(OSError, match="Microsoft"):
        activation.register_app("Amberlight", pixmap.APP_PNG)
    activation.forget_app()
    assert not activation.opens_here()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Keys of the tests' own in the registry."""
    if sys.platform != "win32":
        pytest.skip("the registry is Windows'")
    import winreg

    top = r"Software\Amberlight tests"
    monkeypatch.setattr(activation, "APP_KEY", rf"{top}\app")
    monkeypatch.setattr(activation, "COMMAND_KEY", rf"{top}\command")
    winreg.CreateKey(winreg.HKEY_CURRENT_USER, top)
    yield top
    for name in ("app", "command"):
        try:
            winreg.DeleteKey(winreg.HKEY_CURRENT_USER, rf"{top}\{name}")
        except FileNotFoundError:
            continue
    winreg.DeleteKey(winreg.HKEY_CURRENT_USER, top)


def value(key: str, name: str) -> str:
    if sys.platform != "win32":
        raise AssertionError
    import winreg

    with winreg.OpenKey(winreg.HKEY_CURRENT_USER, key) as opened:
        return str(winreg.QueryValueEx(opened, name)[0])


def test_name_and_icon_are_registered_once(keys: str, tmp_path: Path) -> None:
    """What Setup.exe wrote stays, unless its icon has gone with it; `uninstall` removes it."""

    icons = [tmp_path / "first.png", tmp_path / "second.png"]
    for icon in icons:
        icon.write_bytes(b"")
    activation.register_app("Amberlight", icons[0])
    activation.register_app("Another", icons[1])
    assert ("Amberlight", str(icons[0])) == (value(rf"{keys}\app", "DisplayName"), value(rf"{keys}\app", "IconUri"))
    icons[0].unlink()
    activation.register_app("Another", icons[1])
    assert str(icons[1]) == value(rf"{keys}\app", "IconUri")
    activation.forget_app()
    activation.forget_app()
    with pytest.raises(FileNotFoundError):
        value(rf"{keys}\app", "IconUri")


def test_the_address_counts_if_its_program_is_there(keys: str, tmp_path: Path) -> None:
    """A program that was deleted without its uninstaller leaves its keys behind."""

    if sys.platform != "win32":
        raise AssertionError
    import winreg

    assert not activation.opens_here()
    program = tmp_path / "Zoë's amberlightw.exe"
    with winreg.CreateKey(winreg.HKEY_CURRENT_USER, rf"{keys}\command") as key:
        winreg.SetValueEx(key, "", 0, winreg.REG_SZ, f'"{program}" activate "%1"')
        assert not activation.opens_here()
        program.write_bytes(b"")
        assert activation.opens_here()
        winreg.SetValueEx(key, "", 0, winreg.REG_SZ, f"{program} %1")
        assert not activation.opens_here(), "a path without quotation marks is none of ours"
