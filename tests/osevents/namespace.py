"""A script that changes a real network inside a network namespace and prints what `Polling` reports after each step.

Run by `test_polling.py` under `unshare --net`. One JSON object a line: `step`, and `events` as `[offline, reasons]`.
"""

from __future__ import annotations

import json
import subprocess
import time

from trayapp.core.model import Moment
from trayapp.osevents.events import NetworkState
from trayapp.osevents.polling import Polling

CARRIER = 0.05  # s; the kernel updates the carrier asynchronously

STEPS: list[tuple[str, list[str]]] = [
    ("nothing but lo", ["link set lo up"]),
    (
        "a link with an address, no way out",
        [
            "link add amber0 type veth peer name amber1",
            "link set amber0 addrgenmode none",
            "link set amber1 addrgenmode none",
            "link set amber0 up",
            "link set amber1 up",
            "address add 10.77.0.2/24 dev amber0",
        ],
    ),
    ("a way out", ["route add default via 10.77.0.1"]),
    (
        "a container",
        ["link add docker0 type veth peer name veth0", "link set docker0 up", "address add 172.17.0.1/16 dev docker0"],
    ),
    ("link-local", ["address add 169.254.3.4/16 dev amber0", "address add fe80::77/64 dev amber0 nodad"]),
    (
        "a VPN",
        [
            "link add tun7 type veth peer name tun8",
            "link set tun7 addrgenmode none",
            "link set tun7 up",
            "link set tun8 up",
            "address add 10.8.0.2/24 dev tun7",
        ],
    ),
    ("another gateway", ["route replace default via 10.77.0.254"]),
    ("the cable is pulled", ["link set amber1 down"]),
    ("the cable is back", ["link set amber1 up"]),
    ("IPv6 too", ["address add fd77::2/64 dev amber0 nodad", "-6 route add default via fd77::1"]),
    ("IPv4 goes", ["-4 address flush dev amber0"]),
    ("IPv6 goes", ["-6 address flush dev amber0 scope global", "-6 route del default"]),
]


def main() -> None:
    polling = Polling()
    for number, (step, commands) in enumerate(STEPS):
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)
        time.sleep(CARRIER)
        at = 30.0 * number
        events = polling.poll(Moment(at, at, at))
        said = [[event.offline, list(event.reasons)] for event in events if isinstance(event, NetworkState)]
        print(json.dumps({"step": step, "events": said}), flush=True)


if __name__ == "__main__":
    main()
