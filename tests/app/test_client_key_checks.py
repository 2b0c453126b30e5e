"""`doctor` reads each client's private key, and says what is wrong with it, but nothing of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from tests.app.test_client_document_checks import config
from trayapp.app.client_key_checks import client_keys
from trayapp.core.checks import OK, PROBLEM
from trayapp.system.private_files import write_private

PEM = ECKey.generate_key("P-256").as_pem(private=True).decode()
ENTRY = '[workloads.{}]\nurl = "https://a.test/mcp"\nclient_id = "c"\nclient_key_file = \'{}\'\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "client.pem"
    write_private(path, PEM, shared=True)
    return path


async def test_a_key_of_two_workloads_is_read_once(file: Path) -> None:
    (check,) = await client_keys(config(ENTRY.format("a", file) + ENTRY.format("b", file)))
    assert (OK, f"{file} can be used.", "") == (check.state, check.text, check.help)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda path: path.unlink(), "can't be read: no such file"),
        (lambda path: path.write_text(PEM[:100]), "isn't a private key"),
        pytest.param(
            lambda path: path.chmod(0o644),
            "is open to other users",
            marks=pytest.mark.skipif(os.name != "posix", reason="modes of files"),
        ),
    ],
    ids=["missing", "half", "open"],
)
async def test_a_key_that_can_not_be_used(file: Path, fault: object, words: str) -> None:
    """Before a refresh fails because of it."""

    assert callable(fault)
    fault(file)
    (check,) = await client_keys(config(ENTRY.format("a", file)))
    assert (PROBLEM, True) == (check.state, words in check.text)
    assert "can't be refreshed" in check.help
    assert PEM[40:60] not in check.text


async def test_nothing_is_checked_where_there_is_none() -> None:
    assert [] == await client_keys(None)
    assert [] == await client_keys(config('[workloads.a]\nurl = "https://a.test/mcp"\n'))
