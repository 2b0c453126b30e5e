"""The native sources of Linux: one for each kind of event, none of them required.

The kernel reports links, addresses and routes (`rtnetlink`) and clock jumps (`timerfd`); logind announces sleep and lets
us delay it briefly (`logind`); NetworkManager suspects captive portals (`networkmanager`). The first two need neither
D-Bus nor systemd, so a machine without either still wakes us within milliseconds.
"""

from __future__ import annotations

from trayapp.osevents.logind import Logind
from trayapp.osevents.networkmanager import NetworkManager
from trayapp.osevents.rtnetlink import RtNetlink
from trayapp.osevents.timerfd import Timerfd

__all__ = ["Logind", "NetworkManager", "RtNetlink", "Timerfd"]
