"""What came of asking a workload for its tools, as a client does, in plain words."""

from __future__ import annotations

from dataclasses import dataclass

LIMIT = 20.0  # s for all of it
SIZE_MAX = 4 << 20  # bytes of one answer
TOOLS_MAX = 2000  # more are not counted
SEE = "See its page for what went wrong."
LATER = "Check again in a few minutes."


@dataclass(frozen=True, slots=True)
class Answered:
    """`tools` is None where there was no answer to count; `help` is what to do then."""

    message: str
    tools: int | None = None
    help: str = ""


def with_tools(name: str, tools: int) -> Answered:
    """It answered as an MCP server does."""
    return Answered(f"{name} answered: {_counted(tools)}", tools)


def _counted(tools: int) -> str:
    match tools:
        case 0:
            return "no tools"
        case 1:
            return "1 tool"
    return f"{TOOLS_MAX} tools or more" if tools >= TOOLS_MAX else f"{tools} tools"


def not_connected(name: str, label: str, help_: str) -> Answered:
    """There is no token to ask with."""
    return Answered(f"{name} wasn't checked: {label}.", help=help_ or SEE)


def account(name: str) -> Answered:
    """It has no tools to list, only a token, and that is valid."""
    return Answered(f"{name} has a token for mail programs, git and scripts.", 0)


def refused(name: str, code: int) -> Answered:
    """It speaks MCP, and said no. Its own words stay out: nobody knows what is in them."""
    return Answered(f"{name} refused to list its tools (error {code}).", help=SEE)


def not_mcp(name: str, status: int) -> Answered:
    """Something answered, but not an MCP server."""
    if status >= 500:
        return Answered(f"{name} isn't available (HTTP {status}).", help=LATER)
    if status in (401, 403):
        return Answered(f"{name} refused access (HTTP {status}).", help="Check your account there, or sign in again.")
    return Answered(
        f"{name} answered, but not as an MCP server (HTTP {status}).",
        help="Check its URL. If it's an API rather than an MCP server, it has no tools.",
    )


def silent(name: str) -> Answered:
    """No answer in time."""
    return Answered(f"{name} didn't answer within {LIMIT:g} seconds.", help=LATER)


def cut_off(name: str) -> Answered:
    """The connection ended early."""
    return Answered(f"{name} closed the connection before it answered.", help=LATER)


def too_large(name: str) -> Answered:
    """More than anybody wants to read."""
    return Answered(f"The answer from {name} is too large to check.", help="Clients may still be able to use it.")
