"""Every program whose workloads are shown beside our own."""

from __future__ import annotations

from collections.abc import Sequence

from trayapp.clients.places import Machine
from trayapp.external.owner import ExternalOwner
from trayapp.external.toolhive import ToolHive


def owners(machine: Machine) -> Sequence[ExternalOwner]:
    """One of each, for this machine. Whether it is installed is asked by its `read`."""
    return (ToolHive(machine),)
