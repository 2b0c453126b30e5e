"""Scripted server for the device flow, with clocks on which waiting takes no time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from trayapp.core.model import DeviceCode, Moment, Secret, Spec
from trayapp.core.outcomes import Answer, Fault, Reply
from trayapp.oauth.address_class import AddressClass
from trayapp.oauth.device import by_device_code
from trayapp.oauth.metadata import Endpoints
from trayapp.oauth.tokens import DeviceGrant, HttpTokens
from trayapp.oauth.wire import Wire

DEVICE_CODE = "dc-canary-5501"
ENDPOINTS = Endpoints(
    "https://as.test/authorize",
    "https://as.test/token",
    issuer="https://as.test",
    device="https://as.test/device_authorization",
    nearest_allowed=AddressClass.PUBLIC,
)
SPEC = Spec("mail", "https://mcp.test/", client_id="c", issuer="https://as.test", flow="device")
GRANT = DeviceGrant("https://as.test/device_authorization", "https://as.test/token", "c", "openid", "https://mcp.test/")
CODES = {
    "device_code": DEVICE_CODE,
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://as.test/device",
    "verification_uri_complete": "https://as.test/device?user_code=ABCD-EFGH",
    "expires_in": 600,
    "interval": 5,
}


def answer(body: object, status: int = 200, **headers: str) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {"content-type": "application/json"} | headers, text)


def error(code: str, status: int = 400, **more: object) -> Answer:
    return answer({"error": code, **more}, status)


TOKENS = answer({"access_token": "at-canary", "refresh_token": "rt-canary", "expires_in": 60, "scope": "openid"})
PENDING, SLOW_DOWN = error("authorization_pending"), error("slow_down")
UNREACHABLE = Fault(False, "unreachable", "no route")
TIMEOUT = Fault(True, "timeout", "no answer")


def page(body: bytes, status: int = 200) -> Answer:
    return answer(body, status, **{"content-type": "text/html"})


class World:
    """A scripted server, and clocks on which waiting takes no time."""

    def __init__(self, *polls: Reply, first: Reply | None = None) -> None:
        self.first = first or answer(CODES)
        self.polls = list(polls)
        self.at = 1000.0
        self.waits: list[float] = []
        self.asked_at: list[float] = []
        self.codes: list[DeviceCode] = []
        self.on_sleep: Callable[[], None] = lambda: None
        self.takes = 0.0  # s for one answer

    def now(self) -> Moment:
        return Moment(self.at, self.at, 1_800_000_000.0 + self.at)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.at += seconds
        self.on_sleep()
        await asyncio.sleep(0)

    async def run(self, spec: Spec = SPEC, endpoints: Endpoints = ENDPOINTS, grant: DeviceGrant = GRANT) -> Any:
        tokens = ScriptedTokens(self)
        return await by_device_code(grant, spec, endpoints, tokens, self.codes.append, self.now, sleep=self.sleep)


class ScriptedTokens(HttpTokens):
    def __init__(self, world: World) -> None:
        super().__init__(Wire("0"))
        self.world = world

    async def device_code(self, grant: DeviceGrant, **_: Any) -> Reply:
        return self.world.first

    async def poll(self, grant: DeviceGrant, code: Secret, **_: Any) -> Reply:
        assert code.reveal() == DEVICE_CODE
        self.world.asked_at.append(self.world.at)
        self.world.at += self.world.takes
        return self.world.polls.pop(0) if len(self.world.polls) > 1 else self.world.polls[0]


TROUBLE = [
    UNREACHABLE,
    Fault(False, "dns", ""),
    Fault(False, "tls", ""),
    TIMEOUT,
    Fault(True, "reset", ""),
    answer(b"<html>blocked</html>", 403, **{"content-type": "text/html"}),
    answer(b"<html>portal</html>", 200, **{"content-type": "text/html"}),
    answer(b"", 302),
    answer(b"", 500),
    answer(b"", 502),
    answer(b"", 503),
    answer(b"", 429),
    answer(b"{", 200),
    answer({"nothing": 1}),
    answer({"message": "Forbidden"}, 403),
    error("temporarily_unavailable"),
    error("server_error", 500),
]
