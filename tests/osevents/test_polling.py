"""Polling: given the time, it reports what changed since the last call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests import ROOT
from tests.osevents.test_network import WIFI
from tests.requirements import skip_or_fail
from trayapp.core.model import Moment
from trayapp.osevents.events import ClockStepped, NetworkState, WakeDetected
from trayapp.osevents.linux_snapshot import read_kernel_tables
from trayapp.osevents.network import NetworkSnapshot
from trayapp.osevents.polling import Polling, snapshot_reader
from trayapp.osevents.socket_snapshot import read_by_sockets

HOME = replace(WIFI, routes4=("wlan0 10.0.0.1",), addresses4=("wlan0 10.0.0.9/24",))


class FakeReader:
    """Returns the snapshot it was given, and counts the reads."""

    def __init__(self, snapshot: NetworkSnapshot) -> None:
        self.snapshot = snapshot
        self.reads = 0
        self.error: OSError | None = None

    def __call__(self) -> NetworkSnapshot:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.snapshot


def moment(at: float, *, slept: float = 0.0, stepped: float = 0.0) -> Moment:
    return Moment(1000.0 + at, 900.0 + at - slept, 1.8e9 + at + stepped)


def test_an_unchanged_network_makes_no_event() -> None:
    """Neither does the first snapshot of a working one."""

    polling = Polling(FakeReader(WIFI))

    assert [polling.poll(moment(30.0 * number)) for number in range(5)] == [[]] * 5


def test_a_start_without_network_is_an_event() -> None:
    """An offline first snapshot is reported, as a gate starts open."""

    polling = Polling(FakeReader(NetworkSnapshot()))

    assert polling.poll(moment(0)) == [NetworkState(True, digest=NetworkSnapshot().digest(), reasons=("start",))]


def test_a_change_is_reported_once() -> None:
    """Another network is one event with its reasons; the next poll has none."""

    network = FakeReader(WIFI)
    polling = Polling(network)
    polling.poll(moment(0))
    network.snapshot = HOME

    assert polling.poll(moment(30)) == [
        NetworkState(False, digest=HOME.digest(), reasons=("default route", "addresses")),
    ]
    assert polling.poll(moment(60)) == []


def test_going_and_coming_back() -> None:
    """Offline and online again are an event each."""

    network = FakeReader(WIFI)
    polling = Polling(network)
    polling.poll(moment(0))
    said = []
    for number, snapshot in enumerate((NetworkSnapshot(), WIFI), 1):
        network.snapshot = snapshot
        said += polling.poll(moment(30.0 * number))

    assert [event.offline for event in said if isinstance(event, NetworkState)] == [True, False]


def test_a_wake_comes_before_the_new_network() -> None:
    """After sleep the network is read immediately, and the wake is the first of the two events."""

    network = FakeReader(WIFI)
    polling = Polling(network)
    polling.poll(moment(0))
    network.snapshot = HOME
    woke, state = polling.poll(moment(301, slept=300))

    assert isinstance(woke, WakeDetected)
    assert woke.slept == pytest.approx(300.0)
    assert isinstance(state, NetworkState)


def test_a_clock_step_is_an_event() -> None:
    """Setting the clock is noticed, and the network is read again."""

    network = FakeReader(WIFI)
    polling = Polling(network)
    polling.poll(moment(0))
    (step,) = polling.poll(moment(1, stepped=3600))

    assert isinstance(step, ClockStepped)
    assert step.by == pytest.approx(3600.0)
    assert network.reads == 2


def test_frequent_polls_read_the_network_every_5_s() -> None:
    """Even if `poll` is called a hundred times a second."""

    network = FakeReader(WIFI)
    polling = Polling(network)
    for number in range(1001):
        polling.poll(moment(number / 100))

    assert network.reads == 3


def test_an_unreadable_network_is_taken_as_unchanged(caplog: pytest.LogCaptureFixture) -> None:
    """A failing read is logged once, never means offline, and changes in the meantime are reported once it works."""

    network = FakeReader(WIFI)
    polling = Polling(network)
    polling.poll(moment(0))
    network.error = PermissionError("not allowed")
    for number in range(3):
        assert polling.poll(moment(10.0 + 10 * number)) == []
    assert caplog.text.count("cannot be looked at") == 1

    network.error, network.snapshot = None, HOME
    assert len(polling.poll(moment(60))) == 1


def test_unreadable_from_the_start() -> None:
    """The first read that succeeds gives the first snapshot."""

    network = FakeReader(WIFI)
    network.error = OSError("later")
    polling = Polling(network)

    assert polling.poll(moment(0)) == []
    network.error = None
    assert polling.poll(moment(10)) == []


def test_each_system_has_its_reader() -> None:
    """Linux reads the kernel's tables, the others use sockets."""

    assert snapshot_reader("linux") is read_kernel_tables
    assert snapshot_reader("darwin") is snapshot_reader("win32") is read_by_sockets


@pytest.mark.linux("reads /proc and netlink")
def test_the_real_network_can_be_read() -> None:
    """Two snapshots of this machine's network are equal."""

    assert read_kernel_tables() == read_kernel_tables()


# --- a real network that comes and goes ------------------------------------------------------------------------------

UNSHARE = [
    "unshare",
    *([] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["--map-root-user"]),
    "--net",
]  # inside a chroot only root may


def require_namespace() -> None:
    """Skip with the reason where no network namespace can be made; under CI that is a failure."""
    try:
        subprocess.run([*UNSHARE, "ip", "link", "show"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError) as error:
        skip_or_fail(f"no network namespace here: {error}")


STORY = [
    ("nothing but lo", [[True, ["start"]]]),
    ("a link with an address, no way out", [[True, ["addresses"]]]),
    ("a way out", [[False, ["IPv4 came or went", "default route"]]]),
    ("a container", []),
    ("link-local", []),
    ("a VPN", [[False, ["addresses"]]]),
    ("another gateway", [[False, ["default route"]]]),
    ("the cable is pulled", [[True, ["IPv4 came or went", "default route", "addresses"]]]),
    ("the cable is back", [[False, ["IPv4 came or went", "default route", "addresses"]]]),
    ("IPv6 too", [[False, ["IPv6 came or went", "default route", "addresses"]]]),
    ("IPv4 goes", [[False, ["IPv4 came or went", "default route", "addresses"]]]),
    ("IPv6 goes", [[True, ["IPv6 came or went", "default route", "addresses"]]]),
]


@pytest.mark.desktop
@pytest.mark.linux("network namespaces are Linux's")
def test_a_real_network_comes_and_goes() -> None:
    """Real links, addresses and routes in a namespace make exactly the events of `STORY`."""

    require_namespace()
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-m", "tests.osevents.namespace"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = [(line["step"], line["events"]) for line in map(json.loads, done.stdout.splitlines())]
    assert told == STORY
