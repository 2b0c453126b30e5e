"""Claude Code, Codex, opencode and Gemini CLI: each in the mode in which one process has a conversation of many turns."""

from __future__ import annotations

import json
import platform
import socket
import sys
import time
import urllib.request
from typing import Any

from tests.real import node
from tests.real.clients.client import Agent
from tests.real.clients.process import Line
from tests.real.clients.site import NAME

KEY = "scripted"  # what the model's client needs to be there; nobody looks at it
LIMIT = 90.0  # s for one turn
CPU = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
SYSTEM = f"{sys.platform}-{CPU}"


class ClaudeCode(Agent):
    """`claude -p` with JSON lines in both directions, as IDEs and its SDK run it."""

    name = "claude code"
    sessions = False
    shows_instructions = True
    opens_pages = True

    def start(self) -> None:
        server = {"type": "http", "url": self.url, "headers": dict(self.headers)}
        config = self.write("mcp.json", {"mcpServers": {NAME: server}})
        self.env |= {
            "ANTHROPIC_BASE_URL": self.model.url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CONFIG_DIR": str(self.home / ".claude"),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_AUTOUPDATER": "1",
            "ENABLE_TOOL_SEARCH": "false",  # else tools are found by searching, and not offered
        }
        self._number = 0
        program = self.packages / f"node_modules/@anthropic-ai/claude-code-{SYSTEM}/claude"
        self.run(
            *(program, "-p", "--verbose", "--input-format", "stream-json", "--output-format", "stream-json"),
            *("--model", "claude-sonnet-4-5", "--mcp-config", config, "--strict-mcp-config"),
            *("--allowedTools", f"mcp__{NAME}__echo"),
        )

    def ask(self, prompt: str) -> str:
        start = len(self.process.lines)
        content = [{"type": "text", "text": prompt}]
        self.process.send({"type": "user", "message": {"role": "user", "content": content}})
        while True:
            found = self.process.wait_for(lambda line: line.get("type") == "result" or _question(line), start, LIMIT)
            assert found is not None, self.process.tail()
            if found.get("type") == "result":
                return str(found.get("result"))
            start = self.process.lines.index(found) + 1
            if self.person is not None:
                self.person(found["request"]["url"])
            action = "cancel" if self.person is None else "accept"
            answer = {"subtype": "success", "request_id": found["request_id"], "response": {"action": action}}
            self.process.send({"type": "control_response", "response": answer})

    def connected(self) -> bool:
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            self._number += 1
            number, start = f"status-{self._number}", len(self.process.lines)
            request = {"subtype": "mcp_status"}
            self.process.send({"type": "control_request", "request_id": number, "request": request})
            found = self.process.wait_for(
                lambda line, number=number: line.get("response", {}).get("request_id") == number,  # type: ignore[misc]
                start,
                LIMIT,
            )
            assert found is not None, self.process.tail()
            status = found["response"]["response"]["mcpServers"][0]["status"]
            if status != "pending":
                return bool(status == "connected")
            time.sleep(0.2)
        return False


def _question(line: Line) -> bool:
    return line.get("type") == "control_request" and line["request"].get("subtype") == "elicitation"


CODEX_CONFIG = """
model = "scripted"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.scripted]
name = "scripted"
base_url = "{model}/v1"
wire_api = "responses"
env_key = "SCRIPTED_KEY"
requires_openai_auth = false
supports_websockets = false

[projects."{work}"]
trust_level = "trusted"

[mcp_servers.{name}]
url = "{url}"
http_headers = {{ {headers} }}
"""


class Codex(Agent):
    """`codex app-server`, which is what its IDE extension talks to."""

    name = "codex"
    follows_changes = False  # a thread keeps the tools that it began with

    def start(self) -> None:
        headers = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in self.headers.items())
        text = CODEX_CONFIG.format(model=self.model.url, work=self.work, name=NAME, url=self.url, headers=headers)
        self.write(".codex/config.toml", text)
        self.env |= {"CODEX_HOME": str(self.home / ".codex"), "SCRIPTED_KEY": KEY}
        self._number = 0
        self.run(node.node(), self.packages / "node_modules/@openai/codex/bin/codex.js", "app-server")
        about = {"name": "test", "title": "test", "version": "1"}
        self._rpc("initialize", {"clientInfo": about, "capabilities": {"experimentalApi": True}})
        self.process.send({"method": "initialized"})
        self.begin_again()

    def begin_again(self) -> None:
        begun = self._rpc(
            "thread/start", {"cwd": str(self.work), "approvalPolicy": "never", "sandbox": "danger-full-access"}
        )
        self._thread = begun["result"]["thread"]["id"]

    def ask(self, prompt: str) -> str:
        start = len(self.process.lines)
        self._rpc("turn/start", {"threadId": self._thread, "input": [{"type": "text", "text": prompt}]})
        done = self.process.wait_for(lambda line: line.get("method") == "turn/completed", start, LIMIT)
        assert done is not None, self.process.tail()
        items = [
            line["params"]["item"] for line in self.process.lines[start:] if line.get("method") == "item/completed"
        ]
        return "\n".join(item.get("text", "") for item in items if item.get("type") == "agentMessage")

    def connected(self) -> bool:
        def told(line: Line) -> bool:
            if line.get("method") != "mcpServer/startupStatus/updated":
                return False
            return line["params"].get("name") == NAME and line["params"].get("status") in ("ready", "failed")

        found = self.process.wait_for(told, 0, LIMIT)
        return found is not None and found["params"]["status"] == "ready"

    def _rpc(self, method: str, params: Line) -> Line:
        self._number += 1
        number, start = self._number, len(self.process.lines)
        self.process.send({"id": number, "method": method, "params": params})
        found = self.process.wait_for(lambda line: line.get("id") == number and "method" not in line, start, LIMIT)
        assert found is not None, self.process.tail()
        return found


class OpenCode(Agent):
    """`opencode serve`, which its terminal interface talks to as well."""

    name = "opencode"
    shows_instructions = True

    def start(self) -> None:
        model = {"name": "scripted", "tool_call": True, "limit": {"context": 100000, "output": 8000}}
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "scripted",
            "options": {"baseURL": f"{self.model.url}/v1", "apiKey": KEY},
            "models": {"scripted": model},
        }
        server = {"type": "remote", "url": self.url, "headers": dict(self.headers), "oauth": False, "enabled": True}
        config = {
            "model": "scripted/scripted",
            "small_model": "scripted/scripted",
            "share": "disabled",
            "autoupdate": False,
            "permission": {"*": "allow"},
            "enabled_providers": ["scripted"],
            "provider": {"scripted": provider},
            "mcp": {NAME: server},
        }
        self.write(".config/opencode/opencode.json", config)
        for name in ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "SHARE"):
            self.env[f"OPENCODE_DISABLE_{name}"] = "1"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self._base = f"http://127.0.0.1:{port}"
        program = self.packages / f"node_modules/opencode-{SYSTEM}/bin/opencode"
        self.run(program, "serve", "--hostname", "127.0.0.1", "--port", str(port), "--print-logs")
        listening = self.process.wait_for(lambda line: "listening" in str(line), 0, LIMIT)
        assert listening is not None, self.process.tail()
        self._session = self._http("POST", "/session", {})["id"]

    def ask(self, prompt: str) -> str:
        said = self._http("POST", f"/session/{self._session}/message", {"parts": [{"type": "text", "text": prompt}]})
        return "\n".join(part["text"] for part in said["parts"] if part.get("type") == "text")

    def connected(self) -> bool:
        return bool(self._http("GET", "/mcp")[NAME]["status"] == "connected")

    def _http(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self._base}{path}?directory={self.work}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=LIMIT) as answer:
            return json.loads(answer.read())


class GeminiCli(Agent):
    """`gemini --acp`, which editors talk to. It opens two MCP sessions, and does not say whether it is connected."""

    name = "gemini cli"
    shows_instructions = True

    def start(self) -> None:
        settings = {
            "mcpServers": {NAME: {"httpUrl": self.url, "headers": dict(self.headers), "trust": True}},
            "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
            "general": {"enableAutoUpdate": False, "checkpointing": {"enabled": False}},
            "model": {"name": "gemini-2.5-flash"},
        }
        self.write(".gemini/settings.json", settings)
        self.env |= {
            "GEMINI_API_KEY": KEY,
            "GOOGLE_GEMINI_BASE_URL": self.model.url,
            "GEMINI_CLI_NO_RELAUNCH": "true",
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
        }
        self._number = 0
        program = self.packages / "node_modules/@google/gemini-cli/bundle/gemini.js"
        self.run(node.node(), program, "--acp", "--yolo", "--model", "gemini-2.5-flash")
        files = {"fs": {"readTextFile": False, "writeTextFile": False}}
        self._rpc("initialize", {"protocolVersion": 1, "clientCapabilities": files})
        self._session = self._rpc("session/new", {"cwd": str(self.work), "mcpServers": []})["result"]["sessionId"]

    def ask(self, prompt: str) -> str:
        start = len(self.process.lines)
        text = [{"type": "text", "text": prompt}]
        self._rpc("session/prompt", {"sessionId": self._session, "prompt": text})
        updates = [
            line["params"]["update"] for line in self.process.lines[start:] if line.get("method") == "session/update"
        ]
        said = [each["content"] for each in updates if each.get("sessionUpdate") == "agent_message_chunk"]
        return "".join(each.get("text", "") for each in said)

    def connected(self) -> bool:
        return True

    def _rpc(self, method: str, params: Line) -> Line:
        self._number += 1
        number, start = self._number, len(self.process.lines)
        self.process.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        found = self.process.wait_for(lambda line: line.get("id") == number and "method" not in line, start, LIMIT)
        assert found is not None, self.process.tail()
        return found


AGENTS = (ClaudeCode, Codex, OpenCode, GeminiCli)
