"""The limit on open files, in real processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")

CHILD = """
import resource
from trayapp.system.file_limit import raise_file_limit
raise_file_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "expected"), [(64, 4096, "4096 4096"), (256, 256, "256 256"), (256, 1024, "1024 1024")]
)
def test_as_far_as_this_user_may(soft: int, hard: int, expected: str) -> None:
    """The hard limit, which itself stays as it is."""

    command = ["sh", "-c", f'ulimit -Sn {soft}; ulimit -Hn {hard}; exec "$0" -c "$1"', sys.executable, CHILD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert expected == done.stdout.strip()


@pytest.mark.parametrize(
    ("limits", "bound", "expected"),
    [
        ((256, -1), 1 << 20, (1 << 20, -1)),
        ((256, -1), 10240, (10240, -1)),  # macOS: no limit, and no more than OPEN_MAX
        ((256, -1), 1000, (256, -1)),
        ((-1, -1), 10240, (-1, -1)),
        ((1 << 21, -1), 1 << 30, (1 << 21, -1)),
        ((1024, 1 << 30), 1 << 30, (1 << 20, 1 << 30)),
    ],
)
def test_where_nothing_bounds_it(
    limits: tuple[int, int], bound: int, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million is plenty, and what the system refuses is not asked for again."""

    resource = pytest.importorskip("resource")
    from trayapp.system.file_limit import raise_file_limit

    now = [limits]

    def set_limits(what: int, wanted: tuple[int, int]) -> None:
        if wanted[0] > bound:
            raise ValueError("current limit exceeds maximum limit")
        now[0] = wanted

    monkeypatch.setattr(resource, "getrlimit", lambda what: now[0])
    monkeypatch.setattr(resource, "setrlimit", set_limits)
    raise_file_limit()

    assert expected == now[0]
