"""The official Python SDK's client, or FastMCP's, as a program: python_client.py mcp|fastmcp URL HEADERS [MODE];
or python_client.py stdio COMMAND ENVIRONMENT [MODE].

It reads `tools`, `call TEXT` and `quit`, and prints one JSON object for each line. The other SDKs' programs do the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any


def made(kind: str, url: str, headers: dict[str, str], mode: str) -> AbstractAsyncContextManager[Any]:
    if kind == "fastmcp":
        from fastmcp import Client as FastClient
        from fastmcp.client.transports import StreamableHttpTransport

        return FastClient(StreamableHttpTransport(url, headers=headers), mode=mode)
    from mcp.client import Client

    if kind == "stdio":
        from mcp.client.stdio import StdioServerParameters, stdio_client

        command, *arguments = json.loads(url)
        return Client(stdio_client(StdioServerParameters(command=command, args=arguments, env=headers)), mode=mode)
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    return Client(streamable_http_client(url, http_client=create_mcp_http_client(headers=headers)), mode=mode)


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


async def answer(client: Any, line: str, more: dict[str, Any]) -> None:
    if line == "tools":
        listed = await client.list_tools()
        say(tools=[tool.name for tool in getattr(listed, "tools", listed)])
        return
    result = await client.call_tool("echo", {"text": line.removeprefix("call ")}, **more)
    text = "\n".join(block.text for block in result.content if hasattr(block, "text"))
    say(text=text, error=bool(result.is_error))


async def main(kind: str, url: str, headers: str, mode: str = "auto") -> None:
    more: dict[str, Any] = {"raise_on_error": False} if kind == "fastmcp" else {}
    loop = asyncio.get_running_loop()
    async with made(kind, url, json.loads(headers), mode) as client:
        say(connected=True)
        while (line := (await loop.run_in_executor(None, sys.stdin.readline)).strip()) not in ("", "quit"):
            try:
                await answer(client, line, more)
            except Exception as error:  # noqa: BLE001 # whatever the client raises is what its user sees
                say(failed=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
