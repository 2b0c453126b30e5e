"""Vault over an unmodified backend of the keyring library; the base of the vaults in `backends.py` and `libsecret.py`."""

from __future__ import annotations

from keyring.backend import KeyringBackend


class PlainVault:
    """A keyring backend as it is: whether it is locked can't be seen."""

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
