"""Fixtures: a session bus, a scripted Secret Service on it, and the vault that talks to it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.vault.scripted_secret_service import Scripted
    from tests.vault.secret_service import SecretService
    from trayapp.vault.secret_service_vault import SecretServiceVault


@pytest.fixture
def bus() -> Iterator[SecretService]:
    """A session bus without any service. A short path: a socket's may have 107 characters only."""
    from tests.vault.secret_service import secret_service

    with tempfile.TemporaryDirectory(prefix="ss-") as root, secret_service(Path(root)) as running:
        yield running


@pytest.fixture
def script(bus: SecretService) -> Iterator[Scripted]:
    """The scripted service on that bus."""
    from tests.vault.scripted_secret_service import Scripted

    scripted = Scripted()
    scripted.start()
    yield scripted
    scripted.stop()


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def encrypted(request: pytest.FixtureRequest) -> bool:
    """Whether the session is encrypted: it must make no difference."""
    return bool(request.param)


@pytest.fixture
def vault(script: Scripted, encrypted: bool) -> Iterator[SecretServiceVault]:
    """A vault that connects when it is first used."""
    from trayapp.vault.secret_service_vault import SecretServiceVault  # D-Bus exists on Linux only

    made = SecretServiceVault(encrypted=encrypted)
    yield made
    made.close()
