"""The setting `allowed_users`: who may connect besides the user who runs the app."""

from __future__ import annotations

import sys

import pytest

from trayapp.config.loader import ConfigError, Paths, load

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows tells nobody whose a connection is")


@pytest.mark.parametrize(
    ("text", "expected"), [("[]", ()), ("['root']", (0,)), ("[1001]", (1001,)), ("['root', 1001]", (0, 1001))]
)
def test_names_and_numbers(tmp_path_factory: pytest.TempPathFactory, text: str, expected: tuple[int, ...]) -> None:
    """Both become user ids."""

    paths = Paths.under(tmp_path_factory.mktemp("home"))
    config = load(paths, {}, text=f"[settings]\nallowed_users = {text}\n")

    assert expected == config.settings.allowed_users


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("'root'", "a list of users"),
        ("[true]", "by name or number"),
        ("[-1]", "by name or number"),
        ("[4294967296]", "by name or number"),
        ("['']", "by name or number"),
        ("['no such user']", 'names "no such user", but this computer has no such user'),
        (r'["a\u0000b"]', "by name or number"),
        (r'["\u00fc"]', "no such user"),
    ],
)
def test_what_is_no_user(tmp_path_factory: pytest.TempPathFactory, text: str, words: str) -> None:
    """A mistake with file and line, like any other."""

    paths = Paths.under(tmp_path_factory.mktemp("home"))
    with pytest.raises(ConfigError, match=words) as caught:
        load(paths, {}, text=f"[settings]\nallowed_users = {text}\n")

    assert 2 == caught.value.mistakes[0].line
