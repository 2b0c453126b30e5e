"""What is known about a client: a row of the table of clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Field = tuple[str, ...]  # keys from an entry down to a value


class Syntax(StrEnum):
    """How a client's file is written. JSON files are read with comments, whether or not the client allows them."""

    JSON = "json"
    TOML = "toml"
    YAML = "yaml"


@dataclass(frozen=True, slots=True)
class Command:
    """How an entry names a program to start: its fields, and what else such an entry says."""

    program: Field = ("command",)
    arguments: Field | None = ("args",)  # None: `program` holds a list of program and arguments
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Client:
    """One client. `name` is what commands call it, `title` what people do."""

    name: str
    title: str
    linux: tuple[str, ...]  # files, the newest place first: the first that exists counts
    servers: Field  # keys down to the servers
    darwin: tuple[str, ...] | None = None  # None: as on Linux
    windows: tuple[str, ...] | None = None
    syntax: Syntax = Syntax.JSON
    listed: bool = False  # the servers are a list of entries that have a `name`, not a table by name
    url: Field | None = ("url",)  # None: it starts programs and nothing else
    sse_url: Field | None = None  # where the address of an SSE server stands elsewhere
    kind: Field | None = ("type",)
    http: str | None = "http"  # value of `kind` for streamable HTTP; None: the field is left out
    sse: str | None = "sse"  # the same for SSE; None with `speaks_sse` False: it can't
    speaks_sse: bool = True  # False also where nobody has seen it do so: then it starts our command
    headers: Field = ("headers",)
    more: Mapping[str, Any] = field(
        default_factory=dict
    )  # what else an entry with an address says; `NAME` stands for its name
    command: Command = field(default_factory=Command)
    programs: tuple[str, ...] = ()  # on the PATH of whoever has it installed
    folder: str | None = None  # exists where it is installed; None: the folder of the first file
    project: str | None = None  # file within a project
    restart: str = ""  # what to do so that it notices: an imperative; empty: nothing
    rewrites: bool = False  # it writes its file while it runs
    refusals: str | None = None  # file of servers that it leaves alone for a while (`refusals.py`)
    aliases: tuple[str, ...] = ()  # other names that `connect` takes

    def files(self, platform: str) -> tuple[str, ...]:
        """The places on `sys.platform`."""
        own = {"darwin": self.darwin, "win32": self.windows}.get(platform)
        return self.linux if own is None else own
