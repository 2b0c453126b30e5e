"""The page reads only what the API answers: the check of `conftest.py` sees a field that isn't there."""

from __future__ import annotations

import pytest

from tests.web.conftest import Open
from tests.web.stage import workload_view
from tests.web.window import Window

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("read", "noticed"),
    [
        ("answer.revision", False),
        ("answer.settings.at(-1).kind", False),
        ("answer.settings.map((each) => each.note)", False),
        ("JSON.stringify(answer)", False),
        ("answer.restart", True),
        ("answer.settings[0].restart", True),
        ("answer.settings.map(({ name, restart }) => name)", True),
        ("answer.settings.find((each) => each.restart)", True),
    ],
)
def test_a_field_that_is_not_there_is_noticed(window: Window, show: Open, read: str, noticed: bool) -> None:
    """On the object itself, in a list of them, and taken apart."""

    show(workload_view("github"))
    window.driver.execute_async_script(
        f"import('/web/session.js').then(({{ ask }}) => ask('GET', '/settings')).then((answer) => {read}).then(arguments[0])"
    )

    assert noticed is any("no such field: restart" in each for each in window.errors())
