"""Choice of the keyring: five classes, and nothing else by any route."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import SecretService, Windows, chainer, fail, null
from keyring.backends.macOS import Keyring as MacKeyring
from keyring.backends.Windows import WinVaultKeyring

from trayapp.core.model import Trouble
from trayapp.vault import vaults
from trayapp.vault.allowed_keyrings import NoVaultError
from trayapp.vault.backends import wrap
from trayapp.vault.keystore import Keystore
from trayapp.vault.plain_vault import PlainVault
from trayapp.vault.slots import WINDOWS_LIMIT
from trayapp.vault.windows_vault import WindowsVault


class Plaintext(KeyringBackend):
    """A backend that writes down everything."""

    priority = 9

    def get_password(self, service: str, username: str) -> str | None:
        raise AssertionError("it must never be asked")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise AssertionError("it must never be given anything")


class Disguised(SecretService.Keyring):
    """A subclass of an allowed class is another class."""


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No choice of this machine's user reaches a test, and no backend of a test stays registered."""
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # whose bus would be used instead


@pytest.mark.parametrize(
    "backend", [Plaintext, null.Keyring, fail.Keyring, Disguised], ids=lambda backend: str(backend.__name__)
)
def test_other_classes_are_refused_by_name(backend: type[KeyringBackend]) -> None:
    """The sentence names the class, so that a person knows what was refused."""

    with pytest.raises(NoVaultError) as caught:
        wrap(backend())
    assert f"{backend.__module__}.{backend.__qualname__}, which isn't known" in str(caught.value)


def test_a_chain_gives_its_first_allowed_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plaintext in front of it does not matter; a chain without an allowed member is refused."""

    chain = chainer.ChainerBackend()  # type: ignore[no-untyped-call]
    members: list[KeyringBackend] = [Plaintext(), MacKeyring()]  # type: ignore[no-untyped-call]
    monkeypatch.setattr(chainer.ChainerBackend, "backends", members)
    assert "keyring.backends.macOS.Keyring" == wrap(chain).name

    monkeypatch.setattr(chainer.ChainerBackend, "backends", members[:1])
    with pytest.raises(NoVaultError, match="Plaintext, which isn't known"):
        wrap(chain)


def test_the_windows_vault_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are short there; the library's own calls are used, whichever package they come from."""

    monkeypatch.setattr(Windows, "win32cred", object(), raising=False)
    monkeypatch.setattr(Windows, "pywintypes", SimpleNamespace(error=OSError), raising=False)
    vault = wrap(object.__new__(WinVaultKeyring))
    assert isinstance(vault, WindowsVault)
    assert (WINDOWS_LIMIT, "keyring.backends.Windows.WinVaultKeyring") == (vault.limit, vault.name)


def test_the_macos_keychain_has_no_limit() -> None:
    """One entry for each slot: every entry more is a prompt more."""

    vault = wrap(MacKeyring())  # type: ignore[no-untyped-call]
    assert isinstance(vault, PlainVault)
    assert vault.limit is None
    assert vault.locked() is None


@pytest.mark.linux("the Secret Service")
def test_the_secret_service_is_kept_and_never_prompts_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when the environment says so."""

    from trayapp.vault.secret_service_vault import SecretServiceVault

    monkeypatch.setenv("KEYRING_PROPERTY_MAY_PROMPT", "1")
    vault = wrap(SecretService.Keyring())  # type: ignore[no-untyped-call]
    assert isinstance(vault, SecretServiceVault)
    assert vault.prompt is False


@pytest.mark.parametrize("how", ["environment", "file"])
@pytest.mark.parametrize(
    "named", ["keyrings.alt.file.PlaintextKeyring", "keyring.backends.null.Keyring", "evil.Keyring"]
)
async def test_a_choice_of_another_class_is_refused_and_never_imported(
    how: str, named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """PYTHON_KEYRING_BACKEND and keyringrc.cfg cannot make Amberlight use plaintext, nor run anything."""

    (tmp_path / "evil.py").write_text("raise AssertionError('imported')")
    if how == "environment":
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", named)
    else:
        _write_choice(tmp_path, named)
    keystore = Keystore("inst")
    assert Trouble.UNAVAILABLE is await keystore.load("gh")
    assert f"doesn't use the keyring {named}, " in await keystore.describe()
    assert 1 == caplog.text.count(named)
    assert "evil" not in sys.modules
    assert str(tmp_path) not in sys.path
    await keystore.close()


def _write_choice(directory: Path, named: str) -> None:
    from keyring.util import platform_

    file = platform_.config_root() / "keyringrc.cfg"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"[backend]\ndefault-keyring={named}\nkeyring-path={directory}\n")


def test_a_choice_among_the_allowed_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that one is tried, and the reason is its own; what the classes say is for the log."""

    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.Windows.WinVaultKeyring")
    if sys.platform == "win32":
        assert "WinVault" in vaults.choose().name
        return
    with pytest.raises(
        NoVaultError, match=r"The configured keyring, keyring\.backends\.Windows\.WinVaultKeyring,"
    ) as caught:
        vaults.choose()
    assert "WinVaultKeyring: Requires Windows" in caught.value.reasons
    assert "SecretService" not in caught.value.reasons


@pytest.mark.linux("elsewhere a keyring is always there")
def test_without_a_keyring_the_refused_ones_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed plaintext backend is no way out, and the sentence says that it was seen."""

    monkeypatch.setitem(sys.modules, "keyrings_alt_fake", ModuleType("keyrings_alt_fake"))
    point = metadata.EntryPoint("alt", "keyrings.alt.file:Keyring", "keyring.backends")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])

    with pytest.raises(NoVaultError, match=r"Installed, but not supported: keyrings\.alt\.file"):
        vaults.choose()


@pytest.mark.linux("elsewhere a keyring is always there")
@pytest.mark.parametrize(("address", "outside"), [("unix:path=/nonexistent/bus", False), ("", True)])
async def test_without_a_keyring_a_person_is_told_plainly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str, outside: bool
) -> None:
    """No class, no library and no variable in the sentence, and whether a session is there; the log says the rest."""

    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    keystore = Keystore("install")

    assert Trouble.UNAVAILABLE is await keystore.status()
    text = await keystore.describe()
    await keystore.close()

    assert ("No keyring was found outside a desktop session." if outside else "No keyring was found.") == text
    assert "keyring.backends.SecretService.Keyring: " in caplog.text


def test_a_damaged_keyringrc_is_no_choice(tmp_path: Path) -> None:
    """A file that cannot be read chooses nothing, and raises nothing."""

    _write_choice(tmp_path, "x")
    from keyring.util import platform_

    for text in (b"\xff\xfe\x00", b"default-keyring=x", b"[backend]\n"):
        (platform_.config_root() / "keyringrc.cfg").write_bytes(text)
        assert "" == vaults._named_choice()
