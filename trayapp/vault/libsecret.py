"""libsecret asks a person on every call to a locked collection; the same service tells us beforehand."""

from __future__ import annotations

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from trayapp.vault.plain_vault import PlainVault
from trayapp.vault.servicevault import SecretServiceVault


class LibsecretVault(PlainVault):
    """The library's class, behind a look at the lock."""

    def __init__(self, backend: KeyringBackend, name: str) -> None:
        super().__init__(backend, name)
        self._eye = SecretServiceVault()

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
