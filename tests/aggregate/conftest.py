"""Two workloads, shared by the tests of a file and signed in before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aggregate.site import Site


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`good` and `amber`; a test that breaks one heals it again."""
    with Site(tmp_path_factory.mktemp("site"), "good", "amber") as site:
        yield site


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine starts a process late."""
    monkeypatch.setattr("trayapp.proxy.aggregate_process.START_LIMIT", 120.0)


@pytest.fixture
async def site(pair: Site) -> Site:
    """All is well."""
    await pair.all_green()
    return pair
