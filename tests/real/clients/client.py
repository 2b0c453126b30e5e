"""What all clients have in common: a home of their own, a URL with a key, tools that they offer, and calls."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.real.clients.model import Model
from tests.real.clients.process import Process, environment
from tests.real.clients.site import NAME, Site


class Client:
    """One running client process. `model` is what an agent takes for its language model.

    The class attributes say what is known of this client, and a test fails if it is no longer so.
    """

    name: ClassVar[str]
    sessions: ClassVar[bool] = True  # it speaks a revision with sessions to a server that knows both kinds
    shows_instructions: ClassVar[bool] = False  # its model reads what the server said at initialize
    follows_changes: ClassVar[bool] = True  # after list_changed its model is offered the new tools
    survives_refusal: ClassVar[bool] = True  # a refused connection fails one call, not the client
    opens_pages: ClassVar[bool] = False  # it lets the server ask its user to open one

    def __init__(self, site: Site, model: Model, packages: Path) -> None:
        self.site = site
        self.url = site.url
        self.headers: Mapping[str, str] = site.headers
        self.model = model
        self.person: Callable[[str], None] | None = None  # opens pages that the client asks for
        self.packages = packages
        # Not below the directory of a test: Codex wants no home in /tmp, and a socket's path may not be long.
        self.home = Path(tempfile.mkdtemp(prefix="client-", dir="/var/tmp"))
        self.work = self.home / "work"
        for directory in (self.work, self.home / "tmp"):
            directory.mkdir()
        self.env = environment(self.home)
        self._process: Process | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    def run(self, *arguments: str | Path) -> Process:
        """Start the program."""
        self._process = Process([str(each) for each in arguments], self.env, self.work)
        return self._process

    def write(self, name: str, content: object) -> Path:
        """A file below its home: text, or JSON of anything else."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def start(self) -> None:
        """Start it with the MCP server `lab`."""
        raise NotImplementedError

    def connected(self) -> bool:
        """Whether it says that it is connected."""
        raise NotImplementedError

    def tools(self) -> set[str]:
        """The names of the MCP server's tools, as it offers them to its model or user."""
        raise NotImplementedError

    def call(self, text: str) -> str:
        """Call `echo`, and return what the model or user gets to see of the result."""
        raise NotImplementedError

    def begin_again(self) -> None:
        """A new conversation in the same process."""
        raise NotImplementedError

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.end()
        shutil.rmtree(self.home, ignore_errors=True)


class Agent(Client):
    """A client with a language model, which is `Model` here: it calls what the prompt says, and repeats what it gets."""

    def ask(self, prompt: str) -> str:
        """A turn of the conversation; what the user sees at its end."""
        raise NotImplementedError

    def tools(self) -> set[str]:
        self.ask("SAY hello")
        offered = self.model.requests[-1].offered
        return {name for name in offered if NAME in name}

    def call(self, text: str) -> str:
        seen = len(self.model.requests)
        said = self.ask(f"CALL echo {json.dumps({'text': text})}")
        results = [each.results[-1] for each in self.model.requests[seen:] if each.offered and each.results]
        return results[-1] if results else said

    def was_told(self, text: str) -> bool:
        """Whether the model has read this anywhere in its last request."""
        return text in json.dumps(self.model.requests[-1].body)
