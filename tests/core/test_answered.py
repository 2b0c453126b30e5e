"""The words for what came of asking a workload for its tools."""

from __future__ import annotations

import pytest

from trayapp.core import answered


def test_an_account_answers_without_tools() -> None:
    """Its token is all that was to be checked, so it counts as good."""

    assert answered.Answered("mail has a token for mail programs, git and scripts.", 0) == answered.account("mail")


@pytest.mark.parametrize(
    ("tools", "words"), [(0, "no tools"), (1, "1 tool"), (14, "14 tools"), (answered.TOOLS_MAX, "2000 tools or more")]
)
def test_an_answer_counts_the_tools(tools: int, words: str) -> None:
    found = answered.with_tools("notion", tools)
    assert (f"notion answered: {words}", tools, "") == (found.message, found.tools, found.help)


@pytest.mark.parametrize(
    ("status", "words", "help_"),
    [
        (200, "but not as an MCP server (HTTP 200)", "Check its URL."),
        (404, "but not as an MCP server (HTTP 404)", "Check its URL."),
        (401, "refused access (HTTP 401)", "sign in again"),
        (403, "refused access (HTTP 403)", "sign in again"),
        (502, "isn't available (HTTP 502)", "Check again"),
    ],
)
def test_what_is_not_an_mcp_server_says_so(status: int, words: str, help_: str) -> None:
    found = answered.not_mcp("notion", status)
    assert words in found.message
    assert help_ in found.help
    assert found.tools is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (answered.not_connected("notion", "Not signed in", "Sign in."), "notion wasn't checked: Not signed in."),
        (answered.not_connected("notion", "Reconnecting", ""), "notion wasn't checked: Reconnecting."),
        (answered.refused("notion", -32601), "notion refused to list its tools (error -32601)."),
        (answered.silent("notion"), "notion didn't answer within 20 seconds."),
        (answered.cut_off("notion"), "notion closed the connection before it answered."),
        (answered.too_large("notion"), "The answer from notion is too large to check."),
    ],
)
def test_every_failure_says_what_to_do(found: answered.Answered, words: str) -> None:
    assert words == found.message
    assert found.help
    assert found.tools is None
