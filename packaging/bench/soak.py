"""Soak: a day of a busy laptop in 20 minutes. Memory, descriptors, threads and log stay within bounds, and no login is lost.

    .venv/bin/python packaging/bench/soak.py [--minutes 20] [--workloads 30] [--seed 1] [--every] [--json]

The real program on the headless desktop of the desktop tests: panel, notifications, gnome-keyring, and a system bus with
mocked logind and NetworkManager. 30 workloads of five servers have tokens of 8 s, which is ten minutes of that day. The
network goes and flaps, servers fail in every way, the keyring is locked and restarted, panel, notifications, logind and
NetworkManager are restarted, the machine sleeps and wakes. All the time programs call through the proxy, open and drop
MCP sessions and event streams, and read the API.

After each trouble everything has to be green again; then one sample is taken. `bounds` says what the samples are held
against; the first quarter of the time is for warming up. Exit code 1 if a bound was exceeded, a login was lost, a browser
was opened or the log has an error. Needs root or user namespaces: the network is one of its own. `--every` prints each
trouble and its sample as it happens.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soak_life import ADDRESS, Life, Network, Sample

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SERVERS = 5
TOKEN_LIFE = 8.0  # s


@dataclass(frozen=True, slots=True)
class Bound:
    """One figure of a soak and its limit."""

    what: str
    value: float
    limit: float

    @property
    def kept(self) -> bool:
        return self.value <= self.limit


def bounds(samples: Sequence[Sample]) -> list[Bound]:
    """What the samples after the first quarter are held against.

    Memory includes what the C library keeps free between pieces in use, about 1 MB after this day; what a refresh itself
    leaves behind is counted by `tests/app/test_memory_of_refreshes.py`.
    """
    judged = [each for each in samples if each.at >= samples[-1].at / 4] or list(samples)
    first, last = judged[: max(1, len(judged) // 3)], judged[-max(1, len(judged) // 3) :]

    def growth(figure: Callable[[Sample], float]) -> float:
        return statistics.median(map(figure, last)) - statistics.median(map(figure, first))

    return [
        Bound("memory: growth, KB", growth(lambda each: each.private_kb), 2048),
        Bound("descriptors: growth", growth(lambda each: each.descriptors), 4),
        Bound("descriptors: most", max(each.descriptors for each in judged), 120),
        Bound("threads: most", max(each.threads for each in judged), 16),
        Bound("log: KB, rotated", max(each.log_kb for each in judged), 4 * 1024 + 64),
        Bound("state.db: KB", max(each.state_kb for each in judged), 12 * 1024),
    ]


def main() -> int:
    """Soak and judge."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=20.0)
    options.add_argument("--workloads", type=int, default=30)
    options.add_argument("--seed", type=int, default=1, help="of the order of the troubles")
    options.add_argument("--every", action="store_true", help="print each trouble and its sample as it happens")
    options.add_argument("--json", action="store_true")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if not given.inside:
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        os.execvp("unshare", ["unshare", *user, "--net", sys.executable, __file__, *sys.argv[1:], "--inside"])
    samples, troubles, wrong = soak(given)
    judged = bounds(samples)
    wrong += [f"{each.what} {each.value:.1f}, more than {each.limit:g}" for each in judged if not each.kept]
    if given.json:
        kept = {each.what: [round(each.value, 3), each.limit] for each in judged}
        print(json.dumps({"bounds": kept, "troubles": troubles, "wrong": wrong, "samples": list(map(asdict, samples))}))
    else:
        print(f"{samples[-1].refreshes} refreshes and {sum(troubles.values())} troubles in {given.minutes:g} minutes:")
        print("; ".join(f"{count} × {name}" for name, count in sorted(troubles.items())))
        print(*(f"{each.what:<24}{each.value:>10.1f}   ≤ {each.limit:g}" for each in judged), sep="\n")
        print(*wrong, sep="\n")
    return 1 if wrong else 0


def soak(given: argparse.Namespace) -> tuple[list[Sample], dict[str, int], list[str]]:
    """The samples, how often each trouble came, and what went wrong."""
    from tests.desktop.desk import Desk
    from trayapp.oauthtest import EchoWorkload, OAuthServer

    seconds = given.minutes * 60.0
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        network = Network()
        tls = certificate(root / "ca.pem")
        servers = [
            stack.enter_context(
                OAuthServer(
                    host=ADDRESS,
                    ssl_context=tls,
                    access_token_lifetime=min(TOKEN_LIFE, seconds / 12),
                    grace=3600.0,
                    check=False,
                )
            )
            for _ in range(SERVERS)
        ]
        upstreams = [stack.enter_context(EchoWorkload(server, name="soak")) for server in servers]
        desk = stack.enter_context(Desk(system_bus=True))
        os.environ |= {name: desk.env[name] for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS")}
        life = Life(desk, root, servers, [each.url for each in upstreams], network, given)
        return life.run(seconds)


def certificate(trusted: Path) -> Any:
    """A TLS context for servers on `ADDRESS`; its CA is written to `trusted`."""
    import ssl

    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(ADDRESS).configure_cert(context)
    return context


if __name__ == "__main__":
    raise SystemExit(main())
