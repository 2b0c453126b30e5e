"""A loopback server in one network namespace and clients in another: run as root by `unshare --net`, prints JSON.

Packets to 127.0.0.1 leave the other namespace through a virtual link, as those of a container do whose host lets them in.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.server.test_connections import get, serving
from tests.server.test_server import talk

HOLD = """
import socket, sys, time
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(100)]
for one in held:
    try:
        one.sendall(sys.argv[2].encode().decode("unicode_escape").encode())
    except OSError:
        pass
time.sleep(0.5)
count = 0
for one in held:
    one.setblocking(False)
    try:
        while one.recv(4096):
            pass
    except BlockingIOError:  # still open
        count += 1
    except OSError:
        pass
print(count, flush=True)
input()
"""


def link(process: int) -> list[str]:
    """Join this namespace with that of the process; how to run a command there."""
    there = ["nsenter", f"--target={process}", "--net"]
    commands = [
        ["ip", "link", "set", "lo", "up"],
        ["ip", "link", "add", "here", "type", "veth", "peer", "name", "there"],
        ["ip", "link", "set", "there", "netns", str(process)],
        ["ip", "addr", "add", "10.9.9.1/24", "dev", "here"],
        ["ip", "link", "set", "here", "up"],
        ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/here/route_localnet"],
        [*there, "ip", "addr", "add", "10.9.9.2/24", "dev", "there"],
        [*there, "ip", "link", "set", "there", "up"],
        [*there, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/there/route_localnet"],
        [*there, "ip", "route", "add", "127.0.0.1/32", "via", "10.9.9.1", "dev", "there", "src", "10.9.9.2"],
    ]
    for command in commands:
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
            raise SystemExit(f"no veth: {command}")
    return there


async def ask(there: list[str], port: int, request: str) -> tuple[int, dict[str, Any]]:
    """Status and body that a client there is answered."""
    code = (
        "import socket, sys; c = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); "
        "c.sendall(sys.argv[2].encode()); sys.stdout.buffer.write(b''.join(iter(lambda: c.recv(4096), b'')))"
    )
    command = [*there, sys.executable, "-I", "-c", code, str(port), request]
    asked = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    head, _, body = (await asked.communicate())[0].partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


async def main(directory: Path) -> dict[str, object]:
    """What the clients there were answered, and the owner here meanwhile."""
    other = await asyncio.create_subprocess_exec("unshare", "--net", "sh", "-c", "echo; exec sleep 60", stdout=-1)
    try:
        assert other.stdout is not None
        await other.stdout.readline()
        there = await asyncio.to_thread(link, other.pid)
        async with serving(directory) as server:
            told: dict[str, object] = {"open": (await ask(there, server.port, get(server, "/open")))[1]["owner"]}
            told["strict"] = {p: (await ask(there, server.port, get(server, p)))[0] for p in ("/api", "/page")}
            request = get(server, "/open").replace("Connection: close\r\n", "").replace("\r\n", "\\r\\n")
            command = [*there, sys.executable, "-I", "-c", HOLD, str(server.port), request]
            hold = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert hold.stdout is not None
            told["held"] = int(await hold.stdout.readline())
            whose = json.loads((await talk(server, get(server, "/open")))[2])["owner"]
            told["owner meanwhile"] = {"open": whose, "api": (await talk(server, get(server, "/api")))[0]}
            await hold.communicate(b"\n")
        return told
    finally:
        other.kill()
        await other.wait()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
