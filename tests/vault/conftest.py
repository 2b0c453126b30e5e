"""A bus, a service on it that does what a test says, and the vault that speaks to it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vault.scripted_secret_service import Scripted
from tests.vault.secret_service import SecretService, secret_service
from trayapp.vault.secret_service_vault import SecretServiceVault


@pytest.fixture
def bus() -> Iterator[SecretService]:
    """A session bus without any service. A short path: a socket's may have 107 characters only."""
    with tempfile.TemporaryDirectory(prefix="ss-") as root, secret_service(Path(root)) as running:
        yield running


@pytest.fixture
def script(bus: SecretService) -> Iterator[Scripted]:
    """The scripted service on it."""
    scripted = Scripted()
    scripted.start()
    yield scripted
    scripted.stop()


@pytest.fixture
def vault(script: Scripted) -> Iterator[SecretServiceVault]:
    """Connected when it is first used."""
    made = SecretServiceVault()
    yield made
    made.close()
