"""The keyring check of `amberlight doctor`."""

from __future__ import annotations

import pytest

from trayapp.core.checks import OK, PROBLEM, WARNING, keyring_check
from trayapp.core.model import Trouble

STATES = {
    None: OK,
    Trouble.LOCKED: WARNING,
    Trouble.UNAVAILABLE: PROBLEM,
    Trouble.NO_COLLECTION: PROBLEM,
    Trouble.HANGING: PROBLEM,
    Trouble.FAILED: PROBLEM,
}


@pytest.mark.parametrize("trouble", [None, *Trouble])
def test_a_locked_keyring_is_a_warning_and_a_missing_one_a_problem(trouble: Trouble | None) -> None:
    """Whatever is wrong with it, there is help."""

    check = keyring_check(trouble, "A sentence.")

    assert ("keyring", STATES[trouble], "A sentence.") == (check.name, check.state, check.text)
    assert bool(check.help) == (trouble is not None)
