"""The cost of a hot caller inside the process: a valid token, or the refusal while a workload is `auth_retrying`.

    .venv/bin/python packaging/bench/hot.py [--runs 30] [--quick] [--json]

The real engine with its real clocks and ten workloads; logins and token endpoint are in memory, as no caller ever waits
for them (M15). Each value is the mean of a thousand consecutive calls of `Callers.token`, in microseconds of this
thread's processor time, so that other load counts little. A busy neighbour on the same core still makes it slower: the
lowest value is what the code itself costs.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import Figure, options, show

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

CALLS = 1000
ENDPOINT = "https://as.example/token"


def main() -> None:
    """Measure and print."""
    given = options(__doc__, runs=30).parse_args()
    show(measure(3 if given.quick else given.runs), given)


def measure(runs: int) -> list[Figure]:
    """Both kinds of immediate answer."""
    with tempfile.TemporaryDirectory(prefix="amberlight-bench-") as root:
        found = asyncio.run(_measure(Path(root), runs))
    return [
        Figure(f"hot caller, {what}", "µs", tuple(values), budget=20.0, stretch=5.0) for what, values in found.items()
    ]


async def _measure(root: Path, runs: int) -> dict[str, list[float]]:
    from tests.engine.engines import QUICK, ForgetfulJournal, HeldSignIn, Tokens, keystore_with, running
    from trayapp.core.model import AccessToken, Login, Secret, Spec
    from trayapp.core.outcomes import Answer
    from trayapp.core.snapshot import Unavailable

    tokens = Tokens()
    names = ["blocked", *(f"w{number}" for number in range(9))]
    specs = [Spec(name, "https://mcp.example", "client", token_endpoint=ENDPOINT, policy=QUICK) for name in names]
    logins = [(name, Login(1, name, Secret(name), 0.0, ENDPOINT, "client")) for name in names]
    usual = Tokens()

    async def reply(login: Login) -> Any:
        if login.lineage == "blocked":
            return Answer(403, {"content-type": "text/html"}, b"<html>No.</html>")
        return await usual.refresh(login, limit=1.0, connect=1.0)

    tokens.reply = reply
    parts: dict[str, Any] = {"journal": ForgetfulJournal(), "sign_in": HeldSignIn(), "tokens": tokens}
    async with running(specs, root, keystore=await keystore_with(*logins), **parts) as world:
        await world.becomes("auth_retrying", "blocked")
        for name in names[1:]:
            await world.becomes("running", name)
        found = {"valid token": await _rounds(world.engine.callers, "w5", AccessToken, runs)}
        found["fast fail"] = await _rounds(world.engine.callers, "blocked", Unavailable, runs)
    return found


async def _rounds(callers: Any, name: str, kind: type, runs: int) -> list[float]:
    """Microseconds per call; the first round only warms up."""
    took: list[float] = []
    answer: object = None
    for _ in range(runs + 1):
        began = time.thread_time()
        for _ in range(CALLS):
            answer = await callers.token(name, 0.0)
        took.append((time.thread_time() - began) / CALLS * 1e6)
        assert isinstance(answer, kind), answer
        await asyncio.sleep(0)  # the engine's own work must not count as part of a call
    return took[1:]


if __name__ == "__main__":
    main()
