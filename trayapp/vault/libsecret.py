"""Vault over libsecret that checks the lock first: libsecret itself prompts on every call to a locked collection."""

from __future__ import annotations

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from trayapp.vault.plain_vault import PlainVault
from trayapp.vault.secret_service_vault import SecretServiceVault


class LibsecretVault(PlainVault):
    """The keyring library's class; no call reaches a locked collection unless a person asked."""

    def __init__(self, backend: KeyringBackend, name: str) -> None:
        super().__init__(backend, name)
        self._lock_probe = SecretServiceVault()

    def get(self, service: str, user: str) -> str | None:
        self._refuse_if_locked()
        return super().get(service, user)

    def set(self, service: str, user: str, value: str) -> None:
        self._refuse_if_locked()
        super().set(service, user, value)

    def delete(self, service: str, user: str) -> None:
        self._refuse_if_locked()
        super().delete(service, user)

    def locked(self) -> bool:
        return self._lock_probe.locked()

    def close(self) -> None:
        self._lock_probe.close()

    def _refuse_if_locked(self) -> None:
        if not self.prompt and self.locked():
            raise KeyringLocked("the collection is locked")
