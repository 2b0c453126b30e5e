"""Sentences about a workload that isn't there or has no sign-in, and the rule that all of them keep."""

from __future__ import annotations

import pytest

from trayapp.core import sentences
from trayapp.core.model import Trouble
from trayapp.core.snapshot import Detail


def test_an_account_says_how_programs_get_its_token() -> None:
    """Where somebody wants to connect a client to it."""

    assert sentences.no_address("mail").startswith("mail is an account: it has no address to connect to. ")
    assert sentences.no_address("mail").endswith("amberlight token mail")


def test_what_is_missing_is_named() -> None:
    """So that a person sees a mistyped name."""

    assert "There's no workload named jira." == sentences.no_workload("jira")
    assert "No sign-in to jira is in progress." == sentences.no_sign_in("jira")
    assert "The sign-in to jira was cancelled." == sentences.sign_in_cancelled("jira")
    assert "`amberlight reauthorize jira`" in sentences.sign_in_outdated("jira")
    assert sentences.sign_in_cancelled("jira", "new").endswith("To sign in again, run `amberlight reauthorize new`.")


@pytest.mark.parametrize(
    "text",
    [
        *sentences.PROBLEMS.values(),
        *sentences.REMEDIES.values(),
        *sentences.KEYRING_PROBLEMS.values(),
        *sentences.KEYRING_REMEDIES.values(),
        *sentences.RED_BODIES.values(),
        *sentences.AMBER_BODIES.values(),
    ],
)
def test_each_is_a_whole_sentence(text: str) -> None:
    """They are put together: what happened, then what to do."""

    assert text[0].isupper()
    assert text.endswith(".")


def test_every_trouble_of_the_keyring_has_both() -> None:
    """What happened, and what to do."""

    assert set(Trouble) == sentences.KEYRING_PROBLEMS.keys() == sentences.KEYRING_REMEDIES.keys()


def test_every_detail_has_a_few_words() -> None:
    """For the menu and the list."""

    assert set(Detail) == sentences.SHORT_STATE.keys()
    assert sentences.SHORT_STATE.keys() >= sentences.WORTH_A_WORD
