"""The dashboard's pages, served over a scripted `Control`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.page_site import Site, page_site, write_page


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A folder with the dashboard's files."""
    return write_page(tmp_path)


@pytest.fixture
async def site(tmp_path: Path, web: Path) -> AsyncIterator[Site]:
    """A server that serves them."""
    async with page_site(tmp_path, web) as made:
        yield made
