"""mcp-remote, which makes a remote server a local one for clients that know no others, and the MCP Inspector."""

from __future__ import annotations

from typing import Any

from tests.real import node
from tests.real.clients.client import Client
from tests.real.clients.process import Line

LIMIT = 60.0  # s


class McpRemote(Client):
    """We are the client that started it, over stdin and stdout."""

    name = "mcp-remote"

    def start(self) -> None:
        self.env["MCP_REMOTE_CONFIG_DIR"] = str(self.home / ".mcp-auth")
        program = self.packages / "node_modules/mcp-remote/dist/proxy.js"
        headers = [word for name, value in self.headers.items() for word in ("--header", f"{name}: {value}")]
        self.run(node.node(), program, self.url, *headers, "--allow-http", "--transport", "http-only")
        self._number = 0
        about = {"capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        self.hello = self._ask("initialize", {"protocolVersion": "2025-06-18", **about})
        self.process.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def connected(self) -> bool:
        return "result" in self.hello

    def tools(self) -> set[str]:
        return {tool["name"] for tool in self._ask("tools/list", {})["result"]["tools"]}

    def call(self, text: str) -> str:
        answer = self._ask("tools/call", {"name": "echo", "arguments": {"text": text}})
        return seen(answer["result"]) if "result" in answer else f"failed: {answer}"

    def _ask(self, method: str, params: Line) -> Line:
        self._number += 1
        number, start = self._number, len(self.process.lines)
        self.process.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        found = self.process.wait_for(lambda line: line.get("id") == number and "method" not in line, start, LIMIT)
        assert found is not None, self.process.tail()
        return found


class Inspector(Client):
    """Its command line: each command is a process and a session of its own."""

    name = "inspector"
    sessions = False  # none lives long enough to be lost

    def start(self) -> None:
        pass

    def connected(self) -> bool:
        return "tools" in self._run("--method", "tools/list")

    def tools(self) -> set[str]:
        return {tool["name"] for tool in self._run("--method", "tools/list")["tools"]}

    def call(self, text: str) -> str:
        answer = self._run("--method", "tools/call", "--tool-name", "echo", "--tool-arg", f"text={text}")
        return seen(answer) if "content" in answer else f"failed: {answer}"

    def _run(self, *words: str) -> dict[str, Any]:
        program = self.packages / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
        headers = [word for name, value in self.headers.items() for word in ("--header", f"{name}: {value}")]
        process = self.run(node.node(), program, "--cli", self.url, "--transport", "http", *headers, *words)
        process.finish(LIMIT)
        return process.whole()


def seen(result: dict[str, Any]) -> str:
    """What there is to be read of a call's result."""
    text = "\n".join(block.get("text", "") for block in result["content"])
    return f"[error] {text}" if result.get("isError") else text
