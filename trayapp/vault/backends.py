"""Vaults over the keyring library: macOS, Windows, KWallet and libsecret.

Imported only where one of these is chosen: the library and its dependencies weigh as much as a fifth of the program.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from keyring.backend import KeyringBackend
from keyring.backends import chainer

from trayapp.vault.allowed_keyrings import ALLOWED, LIBSECRET, SECRET_SERVICE, WINDOWS, NoVaultError, refused_keyring
from trayapp.vault.login_store import Vault
from trayapp.vault.plain_vault import PlainVault


def best(paths: Iterable[str], reasons: list[str]) -> Vault | None:
    """A vault over the available class with the highest priority. The reasons why the others aren't available are added
    to `reasons`."""
    found: list[tuple[float, type[KeyringBackend]]] = []
    for path in paths:
        try:
            backend = _load(path)
            found.append((float(backend.priority), backend))
        except Exception as error:  # noqa: BLE001 - "not here" comes as any exception
            reasons.append(f"{path}: {error if isinstance(error, RuntimeError) else type(error).__name__}")
    return wrap(max(found, key=lambda pair: pair[0])[1]()) if found else None


def wrap(backend: KeyringBackend) -> Vault:
    """The vault for a keyring object; a chain gives its first allowed member. Raises `NoVaultError` for any other
    class."""
    if isinstance(backend, chainer.ChainerBackend):
        members = list(backend.backends)
        backend = next((member for member in members if _path(member) in ALLOWED), members[0] if members else backend)
    path = _path(backend)
    if path not in ALLOWED:
        raise NoVaultError(refused_keyring(path))
    if path == SECRET_SERVICE:
        from trayapp.vault.secret_service_vault import SecretServiceVault  # D-Bus exists on Linux only

        return SecretServiceVault(encrypted=True)
    if path == LIBSECRET:
        from trayapp.vault.libsecret import LibsecretVault

        return LibsecretVault(backend, path)
    if path == WINDOWS:
        from trayapp.vault.windows_vault import WindowsVault

        return WindowsVault(backend, path, import_module(type(backend).__module__))
    return PlainVault(backend, path)


def _path(backend: object) -> str:
    """The exact class: a subclass could do anything with a password."""
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _load(path: str) -> type[KeyringBackend]:
    module, _, name = path.rpartition(".")
    backend: type[KeyringBackend] = getattr(import_module(module), name)
    return backend
