"""`doctor` before the app starts: another program has the port that clients will need."""

from __future__ import annotations

import socket

import pytest

from trayapp.cli import doctor
from trayapp.system.port_holder import PortHolder

pytestmark = pytest.mark.linux("only there the system tells who has a port")


def test_a_port_that_is_taken_is_named() -> None:
    """A free one, any one, and that of an Amberlight which starts just now are no problem."""

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (check,) = doctor.taken_port(port)
        assert check.text.startswith(f"Port {port} is in use by ")
    assert [] == doctor.taken_port(port)
    assert [] == doctor.taken_port(0)


@pytest.mark.parametrize(("found", "said"), [(PortHolder(5, amberlight=True), 0), (PortHolder(5), 1), (None, 0)])
def test_who_has_it(found: PortHolder | None, said: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is claimed that isn't known."""

    monkeypatch.setattr(doctor, "port_holder", lambda port: found)
    assert said == len(doctor.taken_port(8765))
