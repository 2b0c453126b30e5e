"""Tests that are Linux's by nature are skipped elsewhere without being imported."""

from __future__ import annotations

import pytest

from tests import linux_only

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ('pytest.mark.linux("terminals")', "terminals"),
        ('[pytest.mark.timeout(5), pytest.mark.linux("D-Bus")]', "D-Bus"),
        ("[pytest.mark.desktop, pytest.mark.timeout(5)]", "the headless desktop"),
        ("pytest.mark.real", "servers and clients that are set up on Linux"),
        ("pytest.mark.slow", None),
    ],
)
def test_a_module_says_why(mark: str, reason: str | None) -> None:
    """Its marks are read from its source."""

    assert reason == linux_only.module_reason(f"import pytest\nimport no_such_module\npytestmark = {mark}\n")


def test_modules_and_tests_elsewhere(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of Linux isn't imported, a single test isn't run, and both say why; the others run."""

    monkeypatch.setattr(linux_only, "elsewhere", lambda: True)
    pytester.makeini("[pytest]\nmarkers = linux: of Linux\nasyncio_default_fixture_loop_scope = function")
    pytester.makeconftest("from tests.conftest import pytest_collection_modifyitems, pytest_pycollect_makemodule")
    pytester.makepyfile(
        test_module='import pytest\nimport no_such_module\npytestmark = pytest.mark.linux("terminals")\ndef test(): 1 / 0',
        test_single='import pytest\n@pytest.mark.linux("modes")\ndef test(): 1 / 0\ndef test_other(): pass',
    )

    result = pytester.runpytest("-rs")

    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*Linux: terminals*", "*Linux: modes*"])
