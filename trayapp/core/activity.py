"""What is recorded of a client's request, and what is cut from it first: whatever looks like a secret, or is too long.

Names come from clients, and paths from whoever wrote the address, so neither is trusted: a text with control or
direction characters is not shown at all. What looks like a secret may be none, and then a harmless name is cut; the
opposite must not happen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import quote, unquote

CUT = "…"
VIA = ("", "mcp", "stdio")  # how it came: directly, through `/mcp`, through `amberlight stdio`
CLIENT_MAX = 40  # characters of each; real ones are half as long
VERSION_MAX = 20
METHOD_MAX = 40
TARGET_MAX = 100
SEGMENT_MAX = 40  # characters of one segment of a path
SEGMENTS_MAX = 6

MCP_AGENT = "amberlight-mcp"
AGENTS: Mapping[str, str] = {MCP_AGENT: "mcp", "amberlight-stdio": "stdio"}  # our own processes in between
CLIENT_HEADER = "X-Amberlight-Client"  # of the process behind `/mcp`, whose sessions are shared by many clients
_PRODUCT = re.compile(r"([\w.!#$%&'*+^`|~-]+)(?:/([\w.+~-]+))?", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]*")  # unreserved in RFC 3986; anything else may be a text, an address, a token
_KNOWN = re.compile(  # how vendors begin their tokens
    r"(?i)(sk|pk|rk|xox[a-z]|gh[a-z]|github_pat|glpat|glsa|ya29|akia|asia|aiza|eyj|npm|pypi|hf|dop|shp[a-z]*|sg|lin_api|ntn"
    r"|secret|token|bearer|basic|key|pat|api)[-_.:]?(?=[A-Za-z0-9]*[0-9])[\w.-]{10,}"
)
_WORDS = re.compile(r"[A-Za-z][a-z]{0,15}(?:[A-Z][a-z]{1,15})*")  # getJiraProjectIssueTypesMetadata
_NAMED = frozenset({"tools/call", "prompts/get"})  # what has a name of its own; an address of a resource is content


class Request(NamedTuple):
    """A request as it ended, not cleaned yet. `info` is the client's `clientInfo`; `at` is wall seconds."""

    at: float
    workload: str
    agent: str  # the header User-Agent
    info: object
    mcp: bool
    method: str
    target: str
    status: int | None  # None: the client left before it was answered
    served: bool  # the workload's server answered
    duration: float  # s


@dataclass(frozen=True, slots=True)
class Use:
    """One row of the activity."""

    at: float
    workload: str
    client: str
    client_version: str
    via: str
    mcp: bool
    method: str
    target: str
    status: int | None
    served: bool
    duration: float


def use_of(request: Request) -> Use:
    """The row for a request."""
    client, version, via = client_of(request.agent, request.info)
    target = name_of(request.target, TARGET_MAX) if request.mcp else path_of(request.target)
    return Use(
        at=request.at,
        workload=request.workload,
        client=client,
        client_version=version,
        via=via,
        mcp=request.mcp,
        method=name_of(request.method, METHOD_MAX),
        target=target,
        status=request.status,
        served=request.served,
        duration=round(max(request.duration, 0.0), 3),
    )


def target_name(method: str, params: Mapping[str, object]) -> str:
    """The tool or prompt that a message is about; empty for all else."""
    name = params.get("name") if method in _NAMED else None
    return name if isinstance(name, str) else ""


def client_header(name: str, version: str) -> str:
    """How the process behind `/mcp` says whose request it passes on."""
    return f"{quote(name[:CLIENT_MAX], safe='')}/{quote(version[:VERSION_MAX], safe='')}"


def client_info(header: str) -> Mapping[str, str]:
    """The same as the client said it."""
    name, _, version = header.partition("/")
    return {"name": unquote(name), "version": unquote(version)}


def client_of(agent: str, info: object) -> tuple[str, str, str]:
    """Short name and version of a client, and how it came: by its MCP client info, else by its User-Agent."""
    product = _PRODUCT.match(agent)
    by_agent, version = product.groups(default="") if product else ("", "")
    via = AGENTS.get(by_agent, "")
    name = info.get("name") if isinstance(info, Mapping) else None
    if isinstance(info, Mapping) and isinstance(name, str) and name:
        given = info.get("version")
        return name_of(name, CLIENT_MAX), name_of(given if isinstance(given, str) else "", VERSION_MAX), via
    if by_agent == "Mozilla":
        return "Browser", "", via
    return ("" if via else name_of(by_agent, CLIENT_MAX)), ("" if via else name_of(version, VERSION_MAX)), via


@lru_cache(maxsize=1024)
def name_of(text: str, most: int) -> str:
    """A name as it is recorded."""
    text = text.strip()
    if not text.isprintable() or looks_secret(text):
        return CUT
    return text if len(text) <= most else text[: most - 1] + CUT


@lru_cache(maxsize=1024)
def path_of(path: str) -> str:
    """A path as it is recorded: each segment that may be more than a word is cut."""
    segments = path.partition("?")[0].removeprefix("/").split("/")
    shown = [_segment(each) for each in segments[:SEGMENTS_MAX]]
    if len(segments) > SEGMENTS_MAX:
        shown.append(CUT)
    joined = "/".join(shown)
    return f"/{joined}" if len(joined) < TARGET_MAX else f"/{joined[: TARGET_MAX - 2]}{CUT}"


def _segment(text: str) -> str:
    harmless = len(text) <= SEGMENT_MAX and _SEGMENT.fullmatch(text) and not looks_secret(text)
    return text if harmless else CUT


def looks_secret(text: str) -> bool:
    """Whether a text may hold a token, a key, a fingerprint, or a long number."""
    return _KNOWN.search(text) is not None or any(map(_opaque, re.findall(r"[A-Za-z0-9]+", text))) or _mixed(text)


def _opaque(run: str) -> bool:
    """Whether letters and digits in a row are no word, however it is spelt."""
    length, digits = len(run), sum(each.isdigit() for each in run)
    if digits == length:
        return length >= 9
    return (
        (length >= 32 and _WORDS.fullmatch(run) is None)
        or (length >= 16 and digits >= 3)
        or (length >= 12 and digits * 3 >= length)
        or (length >= 16 and digits > 0 and run.upper() == run)
    )


def _mixed(text: str) -> bool:
    """The same over separators, as base64, UUIDs and numbers have them: digits, or letters in a wild order of cases."""
    packed = re.sub(r"[^A-Za-z0-9]", "", text)
    digits = sum(each.isdigit() for each in packed)
    if len(packed) < 16:
        return False
    if digits >= 12 or (digits >= 3 and re.fullmatch(r"[0-9a-fA-F]+", packed)):
        return True
    kinds = [0 if each.isdigit() else 1 if each.islower() else 2 for each in packed]
    changes = sum(a != b for a, b in pairwise(kinds))
    capitals = sum(a == b == 2 for a, b in pairwise(kinds))
    return changes * 10 >= len(packed) * (3 if digits + capitals >= 2 else 7)
