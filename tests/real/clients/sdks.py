"""The SDKs' clients, each as a small program that reads `tools` and `call TEXT` and prints what it got."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import ClassVar

from tests import ROOT
from tests.real import node
from tests.real.clients.client import Client
from tests.real.clients.process import Line
from tests.real.clients.site import NAME

HERE = Path(__file__).resolve().parent
LIMIT = 60.0  # s


class SdkClient(Client):
    """`mode` is what the program is told besides URL and headers."""

    mode: ClassVar[str] = ""

    def command(self) -> list[str | Path]:
        """The program, the URL and the headers as JSON, in its own order."""
        raise NotImplementedError

    def start(self) -> None:
        self.run(*self.command())
        self.hello = self._next(0)

    def connected(self) -> bool:
        return self.hello.get("connected") is True

    def tools(self) -> set[str]:
        answer = self._ask("tools")
        assert "tools" in answer, answer
        return set(answer["tools"])

    def call(self, text: str) -> str:
        answer = self._ask(f"call {text}")
        if "text" not in answer:
            return f"failed: {answer}"
        return f"[error] {answer['text']}" if answer["error"] else str(answer["text"])

    def _ask(self, line: str) -> Line:
        start = len(self.process.lines)
        self.process.send(line)
        return self._next(start)

    def _next(self, start: int) -> Line:
        found = self.process.wait_for(lambda line: "text" not in line or "error" in line, start, LIMIT)
        return {"failed": self.process.tail()} if found is None else found

    def close(self) -> None:
        if self._process is not None:
            self._process.send("quit")  # a client that ends properly ends its session too
            self._process.finish(5)
        super().close()


class PythonSdk(SdkClient):
    name = "python"
    kind: ClassVar[str] = "mcp"
    sessions = False
    survives_refusal = False  # its group of tasks ends with the first error

    def command(self) -> list[str | Path]:
        more = [self.mode] if self.mode else []
        return [sys.executable, HERE / "python_client.py", self.kind, self.url, json.dumps(dict(self.headers)), *more]


class PythonSdkWithSessions(PythonSdk):
    name = "python, with sessions"
    mode = "legacy"
    sessions = True


class FastMcp(PythonSdk):
    name = "fastmcp"
    kind = "fastmcp"


class TypeScript1(SdkClient):
    name = "typescript 1"
    mode = "v1"

    def command(self) -> list[str | Path]:
        program = HERE / "typescript_client.mjs"
        return [node.node(), program, self.packages, self.mode, self.url, json.dumps(dict(self.headers))]


class TypeScript2(TypeScript1):
    name = "typescript 2"
    mode = "v2"


class TypeScript2Modern(TypeScript1):
    name = "typescript 2, without sessions"
    mode = "v2auto"
    sessions = False


class Go(SdkClient):
    name = "go"
    sessions = False

    def command(self) -> list[str | Path]:
        more = [self.mode] if self.mode else []
        return [self.packages / "go-client", self.url, json.dumps(dict(self.headers)), *more]


class GoWithSessions(Go):
    name = "go, with sessions"
    mode = "2025-11-25"
    sessions = True


class _Stdio(SdkClient):
    """The same SDK, which starts a command: `amberlight stdio`."""

    survives_refusal = True  # its connection is to the bridge, which stays

    def start(self) -> None:
        self.url = json.dumps([sys.executable, str(HERE / "stdio_bridge.py"), str(self.site.root), NAME])
        self.headers = {"PYTHONPATH": str(ROOT)}
        super().start()


class PythonSdkStdio(_Stdio, PythonSdk):
    name = "python, stdio"
    kind = "stdio"
    survives_refusal = True


class PythonSdkStdioWithSessions(_Stdio, PythonSdkWithSessions):
    name = "python, stdio with sessions"
    kind = "stdio"


class TypeScript1Stdio(_Stdio, TypeScript1):
    name = "typescript 1, stdio"


class TypeScript2Stdio(_Stdio, TypeScript2):
    name = "typescript 2, stdio"


STDIO: tuple[type[Client], ...] = (PythonSdkStdio, TypeScript1Stdio)
QUICK: tuple[type[Client], ...] = (PythonSdk, PythonSdkWithSessions, FastMcp, TypeScript1, *STDIO)
OTHERS: tuple[type[Client], ...] = (
    TypeScript2,
    TypeScript2Modern,
    Go,
    GoWithSessions,
    PythonSdkStdioWithSessions,
    TypeScript2Stdio,
)
