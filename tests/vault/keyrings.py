"""Strict fake keyrings with the interface of the keyring library's backends, and vaults over them that fail on demand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from trayapp.core.model import Login, Secret
from trayapp.vault.slots import WINDOWS_LIMIT

CANARY = "rt-canary-9f2c"


def login(generation: int = 1, *, token: str = "", size: int = 0, lineage: str = "line") -> Login:
    """A login whose refresh token carries the canary and is `size` characters long."""
    text = f"{CANARY}-{token or generation}"
    return Login(
        generation=generation,
        lineage=lineage,
        refresh_token=Secret(text + "x" * max(0, size - len(text))),
        obtained_at=1000.0 + generation,
        token_endpoint="https://as.example/token",
        client_id="client",
        issuer="https://as.example",
        client_secret=Secret("cs-canary"),
        scope="read write",
    )


class VaultError(Exception):
    """Looks like pywintypes.error: no KeyringError, three arguments."""

    def __init__(self, winerror: int, function: str, text: str) -> None:
        super().__init__(winerror, function, text)
        self.winerror = winerror


@dataclass
class WindowsFake:
    """The Windows vault as keyring uses it: 1,280 UTF-16 units, and a second user displaces the first."""

    entries: dict[str, tuple[str, str]] = field(default_factory=dict)  # target → user, value
    step: Callable[[str], None] = lambda what: None

    def get_password(self, service: str, user: str) -> str | None:
        entry = self.entries.get(service)
        if entry is None or entry[0] != user:
            entry = self.entries.get(f"{user}@{service}")
        return entry[1] if entry else None

    def set_password(self, service: str, user: str, value: str) -> None:
        held = self.entries.get(service)
        if held is not None:
            self._write(f"{held[0]}@{service}", *held)
        self._write(service, user, value)

    def _write(self, target: str, user: str, value: str) -> None:
        if len(value.encode("utf-16-le")) > 2560:
            raise VaultError(1783, "CredWrite", "The stub received bad data")
        self.step("write")
        self.entries[target] = (user, value)

    def delete_password(self, service: str, user: str) -> None:
        targets = [t for t in (service, f"{user}@{service}") if self.entries.get(t, ("",))[0] == user]
        if not targets:
            raise VaultError(1168, "CredDelete", "Element not found")
        for target in targets:
            self.step("delete")
            del self.entries[target]


@dataclass
class MacFake:
    """The login keychain: no limit, and a set is a delete and an add."""

    entries: dict[tuple[str, str], str] = field(default_factory=dict)
    step: Callable[[str], None] = lambda what: None

    def get_password(self, service: str, user: str) -> str | None:
        return self.entries.get((service, user))

    def set_password(self, service: str, user: str, value: str) -> None:
        if self.entries.pop((service, user), None) is not None:
            self.step("deleted")
        self.entries[service, user] = value

    def delete_password(self, service: str, user: str) -> None:
        if (service, user) not in self.entries:
            raise KeyError("no such password")
        del self.entries[service, user]


Fake = WindowsFake | MacFake


@dataclass
class FakeVault:
    """A vault over a fake. `before` and `after` see every call by name and may raise, wait, or answer for it."""

    backend: Fake
    limit: int | None = None
    name: str = "fake"
    prompt: bool = False
    before: Callable[[str, str], None] = lambda what, service: None
    after: Callable[[str, str], None] = lambda what, service: None
    reading: Callable[[str, str | None], str | None] = lambda service, value: value
    lock: bool | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)
    closed: int = 0

    def _do(self, what: str, service: str) -> None:
        self.calls.append((what, service))
        self.before(what, service)

    def get(self, service: str, user: str) -> str | None:
        self._do("get", service)
        value = self.reading(service, self.backend.get_password(service, user))
        self.after("get", service)
        return value

    def set(self, service: str, user: str, value: str) -> None:
        self._do("set", service)
        self.backend.set_password(service, user, value)
        self.after("set", service)

    def delete(self, service: str, user: str) -> None:
        self._do("delete", service)
        self.backend.delete_password(service, user)
        self.after("delete", service)

    def locked(self) -> bool | None:
        self.calls.append(("locked", ""))
        return self.lock

    def close(self) -> None:
        self.closed += 1

    def written(self) -> list[str]:
        """The services that were written, without what all of them begin with."""
        return [service.split("/", 2)[2] for what, service in self.calls if what == "set"]


def windows(fake: WindowsFake | None = None) -> FakeVault:
    """A vault with the limit of Windows."""
    return FakeVault(fake or WindowsFake(), limit=WINDOWS_LIMIT)


def mac(fake: MacFake | None = None) -> FakeVault:
    """A vault without a limit."""
    return FakeVault(fake or MacFake())


@dataclass
class FileVault:
    """One file per entry, replaced atomically: what is left after a SIGKILL is what a keyring would hold."""

    directory: Path
    limit: int | None = None
    name: str = "files"
    prompt: bool = False
    step: Callable[[], None] = lambda: None

    def _path(self, service: str) -> Path:
        return self.directory / service.replace("/", "%")

    def get(self, service: str, user: str) -> str | None:
        self.step()
        path = self._path(service)
        return str(json.loads(path.read_text())) if path.exists() else None

    def set(self, service: str, user: str, value: str) -> None:
        self.step()
        draft = self.directory / "draft"
        draft.write_text(json.dumps(value))
        draft.replace(self._path(service))
        self.step()

    def delete(self, service: str, user: str) -> None:
        self.step()
        self._path(service).unlink()

    def locked(self) -> bool | None:
        return None

    def close(self) -> None:
        """Nothing is kept open."""
