"""The interfaces of language models: Anthropic Messages, OpenAI Responses, OpenAI Chat Completions, Gemini generateContent.

Each is read into turns and tools, and an answer is written as one JSON body or as a stream of events; only as much as agents
need to call one tool.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Tool:
    """A tool that is offered. `space` is the group that it is called in, where the interface has groups."""

    name: str
    short: str = ""
    space: str = ""


@dataclass(frozen=True)
class Asked:
    """What the agent sent: ("user" | "result", text) in order, and the tools."""

    turns: list[tuple[str, str]]
    tools: list[Tool]


@dataclass(frozen=True)
class Answer:
    """A text, or the call of a tool."""

    text: str = ""
    call: Tool | None = None
    arguments: Json = field(default_factory=dict)


class Dialect:
    """One interface."""

    def serves(self, path: str) -> bool:
        raise NotImplementedError

    def streams(self, path: str, body: Json) -> bool:
        return body.get("stream") is True

    def read(self, body: Json) -> Asked:
        raise NotImplementedError

    def whole(self, answer: Answer, body: Json) -> Json:
        raise NotImplementedError

    def events(self, answer: Answer) -> Iterator[str]:
        raise NotImplementedError


def _id(prefix: str) -> str:
    return f"{prefix}_{next(_numbers):08d}"


def _event(data: object, name: str = "") -> str:
    return (f"event: {name}\n" if name else "") + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


def _text(content: Any) -> str:
    """The text of a message's content: a string, or parts."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    return "\n".join(part.get("text") or "" if isinstance(part, dict) else str(part) for part in parts)


class Anthropic(Dialect):
    def serves(self, path: str) -> bool:
        return path.endswith("/messages")

    def read(self, body: Json) -> Asked:
        turns = []
        for message in body.get("messages", []):
            content = message.get("content")
            for part in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
                if part.get("type") == "tool_result":
                    mark = "[error] " if part.get("is_error") else ""
                    turns.append(("result", mark + _text(part.get("content"))))
                elif part.get("type") == "text" and message.get("role") == "user":
                    turns.append(("user", part["text"]))
        return Asked(turns, [Tool(tool.get("name", "")) for tool in body.get("tools") or []])

    def whole(self, answer: Answer, body: Json) -> Json:
        return {**self._message(), "content": [self._block(answer)], "stop_reason": self._stop(answer)}

    def events(self, answer: Answer) -> Iterator[str]:
        block = self._block(answer)
        empty: Json
        if answer.call is None:
            empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": answer.text}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(answer.arguments)}
        yield self._said("message_start", message=self._message())
        yield self._said("content_block_start", index=0, content_block=empty)
        yield self._said("content_block_delta", index=0, delta=delta)
        yield self._said("content_block_stop", index=0)
        stop = {"stop_reason": self._stop(answer), "stop_sequence": None}
        yield self._said("message_delta", delta=stop, usage={"input_tokens": 10, "output_tokens": 10})
        yield self._said("message_stop")

    def _said(self, kind: str, **more: object) -> str:
        return _event({"type": kind, **more}, kind)

    def _message(self) -> Json:
        usage = {"input_tokens": 10, "output_tokens": 10}
        kind = {"id": _id("msg"), "type": "message", "role": "assistant", "model": "scripted", "content": []}
        return {**kind, "stop_reason": None, "stop_sequence": None, "usage": usage}

    def _block(self, answer: Answer) -> Json:
        if answer.call is None:
            return {"type": "text", "text": answer.text}
        return {"type": "tool_use", "id": _id("toolu"), "name": answer.call.name, "input": answer.arguments}

    def _stop(self, answer: Answer) -> str:
        return "end_turn" if answer.call is None else "tool_use"


class Responses(Dialect):
    """OpenAI's newer interface; Codex offers MCP tools in groups ("namespace")."""

    def serves(self, path: str) -> bool:
        return path.endswith("/responses")

    def read(self, body: Json) -> Asked:
        turns = []
        for item in body.get("input") or []:
            if str(item.get("type")).endswith("_call_output"):
                turns.append(("result", _text(item.get("output"))))
            elif item.get("type", "message") == "message" and item.get("role") == "user":
                turns.append(("user", _text(item.get("content"))))
        tools = []
        for tool in body.get("tools") or []:
            if tool.get("type") == "namespace":
                space = tool["name"]
                tools += [
                    Tool(f"{space.rstrip('_')}__{each['name']}", each["name"], space) for each in tool.get("tools", [])
                ]
            else:
                tools.append(Tool(tool.get("name") or tool.get("type") or ""))
        return Asked(turns, tools)

    def whole(self, answer: Answer, body: Json) -> Json:
        return self._response("completed", [self._item(answer)])

    def events(self, answer: Answer) -> Iterator[str]:
        item = self._item(answer)
        number = itertools.count()

        def said(kind: str, **more: object) -> str:
            return _event({"type": kind, "sequence_number": next(number), **more}, kind)

        yield said("response.created", response=self._response("in_progress", []))
        yield said("response.output_item.added", output_index=0, item={**item, "status": "in_progress"})
        if answer.call is None:
            part = {"item_id": item["id"], "output_index": 0, "content_index": 0}
            yield said("response.output_text.delta", **part, delta=answer.text)
            yield said("response.output_text.done", **part, text=answer.text)
        yield said("response.output_item.done", output_index=0, item=item)
        yield said("response.completed", response=self._response("completed", [item]))

    def _response(self, status: str, output: list[Json]) -> Json:
        usage = {"input_tokens": 10, "output_tokens": 10, "total_tokens": 20}
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        kind = {"id": _id("resp"), "object": "response", "created_at": 0, "model": "scripted"}
        return {**kind, "status": status, "output": output, "usage": {**usage, **details}}

    def _item(self, answer: Answer) -> Json:
        if answer.call is None:
            content = [{"type": "output_text", "text": answer.text, "annotations": []}]
            return {"type": "message", "id": _id("msg"), "role": "assistant", "status": "completed", "content": content}
        item = {"type": "function_call", "id": _id("fc"), "call_id": _id("call"), "status": "completed"}
        item |= {"name": answer.call.short or answer.call.name, "arguments": json.dumps(answer.arguments)}
        return item | ({"namespace": answer.call.space} if answer.call.space else {})


class Chat(Dialect):
    def serves(self, path: str) -> bool:
        return path.endswith("/chat/completions")

    def read(self, body: Json) -> Asked:
        roles = {"tool": "result", "user": "user"}
        messages = [each for each in body.get("messages", []) if each.get("role") in roles]
        turns = [(roles[each["role"]], _text(each.get("content"))) for each in messages]
        return Asked(turns, [Tool(tool["function"]["name"]) for tool in body.get("tools") or []])

    def whole(self, answer: Answer, body: Json) -> Json:
        message = {"role": "assistant", "content": answer.text, **self._calls(answer)}
        choice = {"index": 0, "message": message, "finish_reason": self._stop(answer)}
        return {"id": _id("chat"), "object": "chat.completion", "created": 0, "model": "scripted", "choices": [choice]}

    def events(self, answer: Answer) -> Iterator[str]:
        yield self._chunk({"role": "assistant", "content": ""})
        yield self._chunk(self._calls(answer) or {"content": answer.text})
        yield self._chunk({}, self._stop(answer))
        yield _event("[DONE]")

    def _chunk(self, delta: Json, stop: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": stop}
        kind = {"id": "chat", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
        return _event({**kind, "choices": [choice]})

    def _calls(self, answer: Answer) -> Json:
        if answer.call is None:
            return {}
        function = {"name": answer.call.name, "arguments": json.dumps(answer.arguments)}
        return {"tool_calls": [{"index": 0, "id": _id("call"), "type": "function", "function": function}]}

    def _stop(self, answer: Answer) -> str:
        return "stop" if answer.call is None else "tool_calls"


class Gemini(Dialect):
    def serves(self, path: str) -> bool:
        return path.endswith(("generateContent", "streamGenerateContent"))

    def streams(self, path: str, body: Json) -> bool:
        return path.endswith("streamGenerateContent")

    def read(self, body: Json) -> Asked:
        turns = []
        for content in body.get("contents", []):
            for part in content.get("parts", []):
                if "functionResponse" in part:
                    response = part["functionResponse"].get("response") or {}
                    output = response.get("output") if isinstance(response, dict) else None
                    turns.append(("result", output if isinstance(output, str) else json.dumps(response)))
                elif content.get("role", "user") == "user" and isinstance(part.get("text"), str):
                    turns.append(("user", part["text"]))
        declared = [each for tool in body.get("tools") or [] for each in tool.get("functionDeclarations", [])]
        return Asked(turns, [Tool(each["name"]) for each in declared])

    def whole(self, answer: Answer, body: Json) -> Json:
        if (body.get("generationConfig") or {}).get("responseMimeType") == "application/json":
            return self._candidate({"text": json.dumps({"reasoning": "", "model_choice": "flash"})})
        return self._candidate(self._part(answer))

    def events(self, answer: Answer) -> Iterator[str]:
        yield _event(self._candidate(self._part(answer)))

    def _part(self, answer: Answer) -> Json:
        if answer.call is None:
            return {"text": answer.text}
        return {"functionCall": {"name": answer.call.name, "args": answer.arguments}, "thoughtSignature": "c2ln"}

    def _candidate(self, part: Json) -> Json:
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"}


DIALECTS: tuple[Dialect, ...] = (Anthropic(), Responses(), Chat(), Gemini())
