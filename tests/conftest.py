"""Settings and fixtures for every test."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests import linux_only
from tests.own_places import Guard, protect
from trayapp.config.paths import Paths

if settings.get_current_profile_name() == "default":  # CI has one of its own
    # In a fresh checkout the first text takes seconds, as the table of all characters is made for it.
    settings.register_profile("laptop", suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("laptop")


if TYPE_CHECKING:  # neither is loaded for a run that needs none
    import trustme

    from trayapp.oauthtest import OAuthServer

pytest_plugins = ["trayapp.oauthtest.plugin"]

# Bytecode is written, whatever the environment says: the tests start hundreds of programs, and without it each of them
# would compile everything again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Modules that are Linux's aren't imported elsewhere."""
    return linux_only.make_module(module_path, parent)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Nor are packages whose fixtures are Linux's."""
    return linux_only.make_package(path, parent)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that are Linux's are skipped elsewhere."""
    if linux_only.elsewhere():
        for item in items:
            if (reason := linux_only.item_reason(item)) is not None:
                item.add_marker(pytest.mark.skip(reason=f"Linux: {reason}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test printed or logged may hold half a character, which pytest-xdist can't send to the process that shows
    it: the whole run would end."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


GUARD = Guard(Paths.default())
protect()


@pytest.fixture(autouse=True)
def guarded_home() -> Iterator[None]:
    """A test fails that touched the configuration, the state or the log of whoever runs it."""
    yield
    GUARD.check()


@pytest.fixture
def server(oauth_server: OAuthServer) -> OAuthServer:
    """A running authorization server. Its options go into a marker: `@pytest.mark.oauth_server(grace=60)`."""
    return oauth_server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that only `trusted` makes this process trust."""
    import trustme

    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process trusts the certificates of `authority`."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
