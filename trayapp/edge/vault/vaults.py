"""Which keyring is used: one of five, known by class. Everything else is refused, however it was chosen.

This file imports `keyring`, so it is itself only imported in the keyring's thread. `keyring.get_keyring()` is never
asked: it keeps "there is none" for the life of the process, obeys an environment variable and a configuration file
that can name anything, and takes a plaintext file when nothing better is there. A person's choice among the five is
honoured; a choice of anything else is an answer too: no keyring, and a sentence that names it.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any, TypeVar

import secretstorage
from keyring.backend import KeyringBackend
from keyring.backends import SecretService, chainer
from keyring.errors import KeyringLocked
from keyring.util import platform_

from trayapp.edge.vault.cabinet import Vault
from trayapp.edge.vault.slots import WINDOWS_LIMIT

T = TypeVar("T")

_SECRET_SERVICE = "keyring.backends.SecretService.Keyring"  # noqa: S105 - the name of a class
_LIBSECRET = "keyring.backends.libsecret.Keyring"
_KWALLET = "keyring.backends.kwallet.DBusKeyring"
_MACOS = "keyring.backends.macOS.Keyring"
_WINDOWS = "keyring.backends.Windows.WinVaultKeyring"
_CHAINER = "keyring.backends.chainer.ChainerBackend"
ALLOWED = (_SECRET_SERVICE, _KWALLET, _LIBSECRET, _MACOS, _WINDOWS)


class NoVaultError(Exception):
    """No keyring that may be used. The text is a sentence for people and names the class that was refused."""


def choose() -> Vault:
    """The best allowed keyring that is there now. Raises `NoVaultError`; asks anew at every call."""
    named = _named_choice()
    if named and named not in (*ALLOWED, _CHAINER):
        raise NoVaultError(_refused(named))
    found: list[tuple[float, type[KeyringBackend]]] = []
    reasons: list[str] = []
    for path in (named,) if named in ALLOWED else _candidates():
        try:
            backend = _load(path)
            found.append((float(backend.priority), backend))
        except Exception as error:  # noqa: BLE001 - "not here" comes as any exception
            reasons.append(f"{path}: {error if isinstance(error, RuntimeError) else type(error).__name__}")
    if not found:
        raise NoVaultError(_nothing(reasons))
    return wrap(max(found, key=lambda pair: pair[0])[1]())


def wrap(backend: KeyringBackend) -> Vault:
    """The vault for a keyring object; a chain gives its first allowed member. Raises `NoVaultError` for any other class."""
    if isinstance(backend, chainer.ChainerBackend):
        members = list(backend.backends)
        backend = next((member for member in members if _path(member) in ALLOWED), members[0] if members else backend)
    path = _path(backend)
    if path not in ALLOWED:
        raise NoVaultError(_refused(path))
    if path == _SECRET_SERVICE:
        return SecretServiceVault(KeptKeyring())
    if path == _LIBSECRET:
        return LibsecretVault(backend, path)
    if path == _WINDOWS:
        backend.persist = "local machine"  # type: ignore[attr-defined]  # the default roams with the profile
        return PlainVault(backend, path, limit=WINDOWS_LIMIT)
    return PlainVault(backend, path)


def _path(backend: object) -> str:
    """By exact class: a subclass could do anything with a password."""
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _load(path: str) -> type[KeyringBackend]:
    module, _, name = path.rpartition(".")
    backend: type[KeyringBackend] = getattr(import_module(module), name)
    return backend


def _candidates() -> tuple[str, ...]:
    if sys.platform == "darwin":
        return (_MACOS,)
    if sys.platform == "win32":
        return (_WINDOWS,)
    return (_SECRET_SERVICE, _KWALLET, _LIBSECRET)


def _named_choice() -> str:
    """The class that the environment or keyringrc.cfg names. It is only read: no foreign code is imported for it."""
    if named := os.environ.get("PYTHON_KEYRING_BACKEND", "").strip():
        return named
    parser = configparser.RawConfigParser()
    try:
        parser.read(platform_.config_root() / "keyringrc.cfg", encoding="utf-8")
        return parser.get("backend", "default-keyring", fallback="").strip()
    except (configparser.Error, OSError, UnicodeDecodeError):
        return ""


def _refused(path: str) -> str:
    return (
        f"The keyring {path} is not used: it does not protect a login, or nobody has proved that it does."
        " Amberlight uses the Secret Service, KWallet, the macOS keychain or the Windows credential vault."
    )


def _nothing(reasons: list[str]) -> str:
    plugins = sorted(
        point.value.partition(":")[0]
        for point in metadata.entry_points(group="keyring.backends")
        if not point.value.startswith("keyring.")
    )
    text = f"No keyring is there to keep a login ({'; '.join(reasons)})."
    return f"{text} Installed but refused: {', '.join(plugins)}." if plugins else text


class PlainVault:
    """A keyring backend as it is: its lock cannot be seen."""

    prompt = False

    def __init__(self, backend: KeyringBackend, name: str, limit: int | None = None) -> None:
        self.name = name
        self.limit = limit
        self._backend = backend

    def get(self, service: str, user: str) -> str | None:
        return self._backend.get_password(service, user)

    def set(self, service: str, user: str, value: str) -> None:
        self._backend.set_password(service, user, value)

    def delete(self, service: str, user: str) -> None:
        self._backend.delete_password(service, user)

    def locked(self) -> bool | None:
        return None

    def close(self) -> None:
        """Nothing is kept open."""


class KeptKeyring(SecretService.Keyring):
    """The Secret Service over one kept connection: three times as fast, and it never asks a person by itself."""

    may_prompt = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.may_prompt = False  # again, after the environment had its say (KEYRING_PROPERTY_*)
        self._kept: Any = None
        self._hang_up: Callable[[], None] | None = None

    def get_preferred_collection(self) -> Any:
        """The collection, unlocked. Raises `KeyringLocked` where only a dialog could open it and nobody asked."""
        collection = self.look()
        if collection.is_locked():
            if self.may_prompt:
                collection.unlock()  # waits for the person
            if collection.is_locked():
                raise KeyringLocked("the collection is locked")
        return collection

    def unlock(self, item: Any) -> None:
        """The stock one asks for an unlock without looking. Reading looks by itself, and raises for a locked item."""
        if self.may_prompt and item.is_locked():
            item.unlock()

    def look(self) -> Any:
        """The collection, locked or not, over the kept connection."""
        if self._kept is None:
            connection = secretstorage.dbus_init()
            try:
                collection = self._find(connection)
                collection.session = collection.session or secretstorage.util.open_session(connection)
            except BaseException:
                connection.close()
                raise
            self._hang_up, connection.close = connection.close, _stay  # keyring closes it after every call
            self._kept = collection
        return self._kept

    def _find(self, connection: Any) -> Any:
        if path := getattr(self, "preferred_collection", None):
            return secretstorage.Collection(connection, path)
        try:
            return secretstorage.Collection(connection)  # the default one
        except secretstorage.ItemNotFoundException:
            if self.may_prompt:
                return secretstorage.get_default_collection(connection)  # asks for a new password
            raise KeyringLocked("there is no default collection yet") from None

    def drop(self) -> None:
        """Close the kept connection; the next call opens another."""
        hang_up, self._hang_up, self._kept = self._hang_up, None, None
        if hang_up is not None:
            hang_up()


def _stay() -> None:
    """Close nothing."""


class SecretServiceVault:
    """The kept keyring. After a failure that is no lock, one repetition on a new connection.

    A restarted daemon does not know our session any more: the first call after that fails and the second works.
    """

    name = _SECRET_SERVICE
    limit: int | None = None

    def __init__(self, keyring: KeptKeyring) -> None:
        self._keyring = keyring

    @property
    def prompt(self) -> bool:
        return self._keyring.may_prompt

    @prompt.setter
    def prompt(self, allowed: bool) -> None:
        self._keyring.may_prompt = allowed

    def get(self, service: str, user: str) -> str | None:
        value: str | None = self._twice(lambda: self._keyring.get_password(service, user))  # type: ignore[no-untyped-call]
        return value

    def set(self, service: str, user: str, value: str) -> None:
        self._twice(lambda: self._keyring.set_password(service, user, value))  # type: ignore[no-untyped-call]

    def delete(self, service: str, user: str) -> None:
        self._twice(lambda: self._keyring.delete_password(service, user))  # type: ignore[no-untyped-call]

    def locked(self) -> bool:
        try:
            return bool(self._twice(lambda: self._keyring.look().is_locked()))
        except KeyringLocked:
            return True  # there is no collection yet

    def close(self) -> None:
        self._keyring.drop()

    def _twice(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Exception as error:
            self._keyring.drop()
            if isinstance(
                error, KeyringLocked | secretstorage.LockedException | secretstorage.PromptDismissedException
            ):
                raise  # a second try would be a second dialog
        return work()


class LibsecretVault(PlainVault):
    """libsecret asks a person on every call to a locked collection; the same service tells us beforehand."""

    def __init__(self, backend: KeyringBackend, name: str) -> None:
        super().__init__(backend, name)
        self._eye = SecretServiceVault(KeptKeyring())

    def get(self, service: str, user: str) -> str | None:
        self._guard()
        return super().get(service, user)

    def set(self, service: str, user: str, value: str) -> None:
        self._guard()
        super().set(service, user, value)

    def delete(self, service: str, user: str) -> None:
        self._guard()
        super().delete(service, user)

    def locked(self) -> bool:
        return self._eye.locked()

    def close(self) -> None:
        self._eye.close()

    def _guard(self) -> None:
        if not self.prompt and self.locked():
            raise KeyringLocked("the collection is locked")
