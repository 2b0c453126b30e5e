"""Vault over Windows' Credential Manager: one entry for each service, overwritten in place, on this machine only.

The keyring library would keep the old value whenever one is overwritten, under the name of its user (`USER@SERVICE`), and
find it there once the entry itself is gone: a token that was replaced long ago, or one of a login that was deleted. So its
calls are made here; what it left is deleted.
"""

from __future__ import annotations

from typing import Any

from keyring.backend import KeyringBackend

from trayapp.vault.plain_vault import PlainVault
from trayapp.vault.slots import WINDOWS_LIMIT

GENERIC, LOCAL_MACHINE = (
    1,
    2,
)  # CRED_TYPE_GENERIC, CRED_PERSIST_LOCAL_MACHINE: the library's default roams with the profile
NOT_FOUND = 1168  # ERROR_NOT_FOUND
COMMENT = "Stored by Amberlight"


class WindowsVault(PlainVault):
    """`calls` has `win32cred` and `pywintypes`, as the library's module has."""

    def __init__(self, backend: KeyringBackend, name: str, calls: Any) -> None:
        super().__init__(backend, name, limit=WINDOWS_LIMIT)
        self._credentials = calls.win32cred
        self._error: type[Exception] = calls.pywintypes.error

    def get(self, service: str, user: str) -> str | None:
        try:
            found = self._credentials.CredRead(Type=GENERIC, TargetName=service)
        except self._error as error:
            if getattr(error, "winerror", None) == NOT_FOUND:
                return None
            raise
        if found["UserName"] != user:
            return None
        return bytes(found["CredentialBlob"]).decode(
            "utf-16-le", "replace"
        )  # what isn't text is damage, and read as such

    def set(self, service: str, user: str, value: str) -> None:
        credential = {
            "Type": GENERIC,
            "TargetName": service,
            "UserName": user,
            "CredentialBlob": value,
            "Comment": COMMENT,
            "Persist": LOCAL_MACHINE,
        }
        self._credentials.CredWrite(credential, 0)
        self._delete(f"{user}@{service}")

    def delete(self, service: str, user: str) -> None:
        self._delete(f"{user}@{service}")
        self._delete(service)

    def _delete(self, target: str) -> None:
        try:
            self._credentials.CredDelete(Type=GENERIC, TargetName=target)
        except self._error as error:
            if getattr(error, "winerror", None) != NOT_FOUND:
                raise
