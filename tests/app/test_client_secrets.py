"""Client secrets that end soon: whom it concerns, what the login gets, and the warning a week ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from tests.core.history import login, played, player
from trayapp.app import client_secrets
from trayapp.app.client_secrets import ClientSecrets, watch
from trayapp.app.warning_lines import WarningLines
from trayapp.core import machine
from trayapp.core.messages import Event
from trayapp.core.model import Moment, Secret, Workload

DAY = 86400.0
NOW = Moment(1000.0, 1000.0, 1_700_000_000.0)
REGISTERED = Secret('{"token_endpoint_auth_method": "client_secret_basic", "registered": true}')
CONNECTED = "loaded; go; probe ok; refreshed"


def connected(registration: Secret | None = REGISTERED, secret: str = "old", history: str = CONNECTED) -> Workload:
    """A workload with a token, whose client has this secret."""
    w = played(player(), history).w
    client_secret = Secret(secret) if secret else None
    return replace(w, login=replace(w.login or login(), client_secret=client_secret, registration=registration))


class Core:
    """The engine's part that is used: the machine, and what was asked of the sign-in."""

    def __init__(self, **workloads: Workload) -> None:
        self.workloads: dict[str, Workload] = workloads
        self.asked: list[tuple[str, str]] = []
        self.answer: tuple[Secret, float] | None = (Secret("new"), NOW.wall + 90 * DAY)
        self.lines: list[str] = []
        self.warnings = WarningLines(self._shown)
        self.secrets = ClientSecrets(self, self.current, self.warnings)

    def _shown(self, lines: tuple[str, ...]) -> None:
        self.lines = list(lines)

    def now(self) -> Moment:
        return NOW

    def apply(self, name: str, event: Event) -> None:
        self.workloads[name], _ = machine.step(self.workloads[name], event)

    def task(self, what: str, work: Coroutine[Any, Any, None], *, needed: bool = False) -> asyncio.Task[None]:
        raise AssertionError

    async def current(self, name: str, client_id: str, wall: float) -> tuple[Secret, float] | None:
        self.asked.append((name, client_id))
        assert NOW.wall == wall
        return self.answer

    def secret(self, name: str) -> str:
        found = self.workloads[name].login
        assert found is not None
        assert found.client_secret is not None
        return found.client_secret.reveal()


async def test_a_renewed_secret_reaches_the_login() -> None:
    """The next refresh is sent with it; nobody is bothered."""

    core = Core(one=connected())
    await core.secrets.look()

    assert [("one", "c")] == core.asked
    assert "new" == core.secret("one")
    assert core.workloads["one"].unsaved
    assert [] == core.lines


@pytest.mark.parametrize(
    "w",
    [
        connected(registration=None),
        connected(Secret('{"registered": false}')),
        connected(Secret("{")),
        connected(Secret("[]")),
        connected(secret=""),
        connected(history="loaded"),
        connected(history=f"{CONNECTED}; manual; go; probe ok"),
        replace(connected(), unsaved=True),
        replace(connected(), due=NOW.at + 30),
        replace(connected(), login=None),
    ],
)
async def test_what_is_left_alone(w: Workload) -> None:
    """A person's own client, one without a secret, a login that doesn't work now, and one that is about to be refreshed."""

    core = Core(one=w)
    await core.secrets.look()

    assert [] == core.asked
    assert w is core.workloads["one"]


async def test_a_secret_that_is_not_renewed_is_warned_of_a_week_ahead(caplog: pytest.LogCaptureFixture) -> None:
    """The line says by when, and what to do. It stays while the workload is busy, and ends with its reason."""

    core = Core(one=connected(), two=connected())
    core.answer = Secret("old"), NOW.wall + 8 * DAY
    await core.secrets.look()
    assert [] == core.lines

    core.answer = Secret("old"), NOW.wall + 6 * DAY
    await core.secrets.look()
    (line,) = core.lines
    assert "The client secret of one ends on 20 November 2023, and the server doesn't renew it." in line
    assert "Before then, run `amberlight reauthorize two`." in line
    assert "old" not in caplog.text

    core.workloads["one"] = replace(connected(), due=NOW.at + 30)
    del core.workloads["two"]
    await core.secrets.look()
    assert "`amberlight reauthorize one`." in core.lines[0]
    assert "two" not in core.lines[0]
    assert 1 == len([record for record in caplog.records if "ends on" in record.message])

    core.workloads["one"], core.answer = connected(), (Secret("other"), 0.0)
    await core.secrets.look()
    assert [] == core.lines


async def test_a_workload_that_is_removed_meanwhile() -> None:
    """Nothing is applied to it; and a client that isn't known brings nothing."""

    core = Core(one=connected())

    async def removes(name: str, client_id: str, wall: float) -> tuple[Secret, float] | None:
        core.workloads.clear()
        return Secret("new"), 0.0

    await ClientSecrets(core, removes, core.warnings).look()
    assert {} == core.workloads

    core = Core(one=connected())
    core.answer = None
    await core.secrets.look()
    assert "old" == core.secret("one")


async def test_it_looks_again_after_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong, the next look may succeed."""

    monkeypatch.setattr(client_secrets, "FIRST_LOOK", 0.0)
    monkeypatch.setattr(client_secrets, "LOOK_EVERY", 0.0)
    core, looks = Core(one=connected()), asyncio.Semaphore(0)

    async def fails_once(name: str, client_id: str, wall: float) -> tuple[Secret, float] | None:
        core.asked.append((name, client_id))
        looks.release()
        if len(core.asked) == 1:
            raise OSError("canary")
        return Secret("new"), 0.0

    task = asyncio.create_task(watch(core, fails_once, core.warnings))
    for _ in range(2):
        await asyncio.wait_for(looks.acquire(), 2)
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert "new" == core.secret("one")
    assert "looking at the clients' secrets failed" in caplog.text
