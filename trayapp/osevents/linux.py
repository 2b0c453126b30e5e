"""What Linux tells by itself: four sources, each for one thing, none of them needed.

The kernel tells of links, addresses and routes (`rtnetlink`) and of a clock that jumped (`timerfd`); logind tells of sleep
and lets us hold it up for a moment (`logind`); NetworkManager has an opinion on captive portals (`networkmanager`). The
first two need neither D-Bus nor systemd, so a machine without either still wakes us within milliseconds.
"""

from __future__ import annotations

from trayapp.osevents.logind import Logind
from trayapp.osevents.networkmanager import NetworkManager
from trayapp.osevents.rtnetlink import RtNetlink
from trayapp.osevents.timerfd import Timerfd

__all__ = ["Logind", "NetworkManager", "RtNetlink", "Timerfd"]
