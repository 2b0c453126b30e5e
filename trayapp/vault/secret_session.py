"""Sessions of the Secret Service: how a secret crosses the bus, as it is or encrypted once more.

A plain session is enough on a session bus that is a socket of this user on this machine: whoever may read there may ask
the keyring itself. Encryption loads 8 MB of cryptography into a program that runs all day, so it is for buses that leave
the machine and for services that insist on it.

Specification: https://specifications.freedesktop.org/secret-service-spec/latest/transfer-secrets.html
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from dbus_fast import Variant

PLAIN = "plain"
ENCRYPTED = "dh-ietf1024-sha256-aes128-cbc-pkcs7"
CONTENT_TYPE = "text/plain"
BLOCK = 16  # bytes of an AES block, and of the key

# OpenSession(algorithm, input) of the service: its output, and the session's path
OpenSession = Callable[[str, Variant], Awaitable[tuple[Variant, str]]]


class Session(Protocol):
    """An open session."""

    path: str

    def wrapped(self, value: bytes) -> list[Any]:
        """The value as the service's `Secret` structure (oayays)."""
        ...

    def unwrapped(self, secret: list[Any]) -> bytes:
        """The value in such a structure. Raises ValueError if it can't be decrypted."""
        ...


async def open_session(ask: OpenSession, *, encrypted: bool) -> Session:
    """Open a session of this kind, and no other. Raises what `ask` raises if the service refuses."""
    if not encrypted:
        _, path = await ask(PLAIN, Variant("s", ""))
        return _Plain(path)
    from secretstorage.dhcrypto import Session as Exchange

    exchange = Exchange()
    theirs, path = await ask(ENCRYPTED, Variant("ay", exchange.my_public_key.to_bytes(128, "big")))
    exchange.set_server_public_key(int.from_bytes(theirs.value, "big"))
    return _Encrypted(path, exchange.aes_key or b"")


class _Plain:
    def __init__(self, path: str) -> None:
        self.path = path

    def wrapped(self, value: bytes) -> list[Any]:
        return [self.path, b"", value, CONTENT_TYPE]

    def unwrapped(self, secret: list[Any]) -> bytes:
        return bytes(secret[2])


class _Encrypted:
    """AES-128 in CBC mode with PKCS #7 padding, under a key that only both ends know."""

    def __init__(self, path: str, key: bytes) -> None:
        self.path = path
        self._key = key

    def wrapped(self, value: bytes) -> list[Any]:
        from cryptography.hazmat.primitives.padding import PKCS7

        vector, padder = os.urandom(BLOCK), PKCS7(BLOCK * 8).padder()
        encryptor = self._cipher(vector).encryptor()
        padded = padder.update(value) + padder.finalize()
        return [self.path, vector, encryptor.update(padded) + encryptor.finalize(), CONTENT_TYPE]

    def unwrapped(self, secret: list[Any]) -> bytes:
        from cryptography.hazmat.primitives.padding import PKCS7

        decryptor, unpadder = self._cipher(bytes(secret[1])).decryptor(), PKCS7(BLOCK * 8).unpadder()
        padded = decryptor.update(bytes(secret[2])) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()

    def _cipher(self, vector: bytes) -> Any:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        return Cipher(algorithms.AES(self._key), modes.CBC(vector))
