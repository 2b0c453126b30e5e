"""How the app is started on Windows: without a console, and out of the job that a client may have put its bridge into."""

from __future__ import annotations

from typing import Any

import pytest

from trayapp.stdio import starter

DETACHED, NEW_GROUP, BREAKAWAY = 0x8, 0x200, 0x1000000
FLAGS = (DETACHED | NEW_GROUP | BREAKAWAY, DETACHED | NEW_GROUP)


class Programs:
    """A strict Popen: a job that lets nobody go refuses BREAKAWAY; `broken` refuses everything."""

    def __init__(self, *, job: bool = False, broken: bool = False) -> None:
        self.job, self.broken = job, broken
        self.flags: list[int] = []

    def __call__(self, command: list[str], *, creationflags: int, close_fds: bool, **more: Any) -> Any:
        assert close_fds
        assert (7, 7, {"A": "b"}) == (more["stdout"], more["stderr"], more["env"])
        self.flags.append(creationflags)
        if self.broken or (self.job and creationflags & BREAKAWAY):
            raise PermissionError(13, "Access is denied")
        return command[0]


@pytest.mark.parametrize(("job", "tried"), [(False, FLAGS[:1]), (True, FLAGS)])
def test_out_of_the_job_if_it_lets_go(monkeypatch: pytest.MonkeyPatch, job: bool, tried: tuple[int, ...]) -> None:
    """Otherwise inside: the app then ends with the client, which is better than no app at all."""

    programs = Programs(job=job)
    monkeypatch.setattr(starter, "_WINDOWS_FLAGS", FLAGS)
    monkeypatch.setattr("trayapp.stdio.starter.subprocess.Popen", programs)
    found: Any = starter._detached(["amberlightw"], 7, {"A": "b"})
    assert "amberlightw" == found
    assert tried == tuple(programs.flags)


def test_a_refusal_that_has_another_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that may not be run."""

    monkeypatch.setattr(starter, "_WINDOWS_FLAGS", FLAGS)
    monkeypatch.setattr("trayapp.stdio.starter.subprocess.Popen", Programs(broken=True))
    with pytest.raises(PermissionError, match="Access is denied"):
        starter._detached(["amberlightw"], 7, {"A": "b"})
