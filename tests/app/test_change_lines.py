"""What is logged of something that changes all the time."""

from __future__ import annotations

from trayapp.app.change_lines import KEPT, LINES, WINDOW, ChangeLines


def test_the_first_lines_are_logged_and_the_last_of_them_says_that() -> None:
    """Until the time is over; other things have lines of their own."""

    lines = ChangeLines()
    said = [lines.line("a", f"a is {number}", float(number)) for number in range(30)]
    assert [f"a is {number}" for number in range(LINES - 1)] == said[: LINES - 1]
    assert said[LINES - 1].startswith(f"a is {LINES - 1}; it keeps changing")
    assert {""} == set(said[LINES:])
    assert "b is 1" == lines.line("b", "b is 1", 30.0)
    assert "a is 31" == lines.line("a", "a is 31", WINDOW)


def test_ever_new_things_have_an_end() -> None:
    """Within the time; then there is room again."""

    lines = ChangeLines()
    said = [lines.line(f"a{number}", "x", 1.0) for number in range(KEPT + 500)]
    assert KEPT == said.count("x")
    assert "x" == lines.line("new", "x", 1.0 + WINDOW)
    assert 1 == len(lines._told)
