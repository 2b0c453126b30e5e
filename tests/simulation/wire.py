"""What happens to one attempt on the way: name, connection, TLS, the last look, the request, its answer.

`Wire`, `RequestProgress` and `fault` are the program's own, with their limits and their last look; only the packets are
simulated. A token is spent when its request reaches the server, never before.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

import trayapp.oauth.wire
from tests.simulation import login_plan, losses
from tests.simulation.servers import AuthServer, portal, refusal, trouble
from tests.simulation.truth import Call
from trayapp.core.model import Login
from trayapp.core.outcomes import Answer, Fault, Reply
from trayapp.oauth.progress import RequestProgress
from trayapp.oauth.wire import Request, Wire

if TYPE_CHECKING:
    from tests.simulation.process import Process

REQUEST_IS_OUT = "the request is out"  # the point after which a token may be spent
for _pure in ("url_problem", "class_of_host", "is_loopback"):  # they are asked about few addresses, thousands of times
    setattr(trayapp.oauth.wire, _pure, functools.lru_cache(256)(getattr(trayapp.oauth.wire, _pure)))

NEVER = 3600.0  # s; longer than any attempt
SYN_AGAIN = (1.0, 2.0, 4.0)  # s between the packets that open a connection (RFC 6298)
ANSWER_AGAIN = (0.3, 0.6, 1.2, 2.4, 4.8, 9.6, 19.2)  # s between the packets of an answer that isn't acknowledged
STOOD_STILL = 0.01  # how often the machine is busy with something else between connecting and sending
LOST_ON_THE_WAY = 0.3  # of the requests during which the laptop roams


@dataclass(frozen=True, slots=True)
class SimulatedRequest(Request):
    """A refresh request, and what the checks know of it."""

    call: Call | None = None
    server: AuthServer | None = None


class Tokens:
    """The network path to the token endpoints (`ports.TokenEndpoint`)."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.wire = SimulatedWire(process)

    async def refresh(self, login: Login, *, limit: float, connect: float, in_doubt: bool = False) -> Reply:
        process, world = self._process, self._process.world
        await process.crash_point_or_wait("a refresh")
        server = world.server_at(login.token_endpoint)
        call = world.checks.sending(process, server, login)
        request = SimulatedRequest(
            "POST", server.endpoint, body=login.refresh_token.reveal(), repeatable=True, call=call, server=server
        )
        try:
            reply = await self.wire.send(request, limit=limit, connect=connect)
            if isinstance(reply, Fault) and reply.sent:
                call.delivered = False
            world.checks.preflight.ended(call, reply)
        finally:
            world.checks.over(call)
        await process.crash_point_or_wait("the answer")
        world.checks.answered(process, call, reply)
        return reply

    async def revoke(self, login: Login) -> bool:
        return True


class Stream:
    """A simulated connection, as httpcore shows it."""

    reset = False  # the server, or something on the way, has closed it

    def get_extra_info(self, what: str) -> Any:
        return self.reset if what == "is_readable" else None

    async def read(self, most: int) -> bytes:
        if not self.reset:  # nothing comes before the request
            await asyncio.get_running_loop().create_future()
        return b""

    async def aclose(self) -> None:
        pass


class Ordered(dict[RequestProgress, None]):
    """The requests under way, in the order in which they began: the order of a set differs from run to run."""

    def add(self, progress: RequestProgress) -> None:
        self[progress] = None

    def discard(self, progress: RequestProgress) -> None:
        self.pop(progress, None)


class SimulatedWire(Wire):
    """The program's transport over a simulated network."""

    preflight = True  # False: the request goes out with the first packets, whatever becomes of the connection

    def __init__(self, process: Process) -> None:
        super().__init__(now=lambda: process.world.clocks.now().at)
        self._connecting = Ordered()  # type: ignore[assignment]  # it is used as a set is
        self._process = process
        self._world = process.world
        self._net = process.world.network
        self._rng = process.world.packets

    async def _exchange(
        self,
        request: Request,
        host: str,
        progress: RequestProgress,
        timeout: httpx2.Timeout,
        cap: int,
        answers: list[Answer],
    ) -> None:
        assert isinstance(request, SimulatedRequest)
        assert request.call is not None
        assert request.server is not None
        call, server, connect = request.call, request.server, timeout.connect or 0.0
        early: asyncio.Task[Answer] | None = None
        try:
            await progress("connection.connect_tcp.started", {"host": host})
            epoch = self._net.epoch
            left = await self._look_up(connect)
            if not self.preflight:
                early = await self._send_early(call, server, request.body, progress)
            await self._connect(server, epoch, left)
            call.epoch, stream = self._net.epoch, Stream()
            await progress("connection.connect_tcp.complete", {"return_value": stream})
            await progress("connection.start_tls.started", {})
            await self._shake_hands(call, server, stream, connect)
            await progress("connection.start_tls.complete", {"return_value": stream})
            if early is None:
                silent = await self._stand_still(call, stream)
                await progress("http11.send_request_headers.started", {"request": request_line(request)})
                await self._sent(call, progress)
                answer = await self._answer(call, server, request.body, progress, silent)
            else:
                if progress.connecting is not None:
                    progress.connecting.reschedule(None)
                answer = await early
            answers.append(await self._way_back(call, answer))
        finally:
            if early is not None:
                early.cancel()

    # --- until something is sent ---------------------------------------------------------------------------------------

    def _step(self, quick: float) -> float:
        """Seconds that one exchange of packets takes."""
        slow = self._net.troubles["loss"]
        return self._rng.uniform(0.1, 1.0) * float(slow[-1]) if slow else self._rng.uniform(0.1, 1.0) * quick

    async def _sleep(self, seconds: float, left: float) -> float:
        """Let a step take its time; what is left of the limit. Raises TimeoutError if it takes longer than that."""
        await asyncio.sleep(min(seconds, left))
        if seconds >= left:
            raise TimeoutError
        return left - seconds

    async def _look_up(self, left: float) -> float:
        """Name and first packets take their time together; what is left of the limit after it."""
        net = self._net
        left = await self._sleep(self._step(0.04) + self._step(0.05), left)
        if net.down:
            raise OSError(errno.ENETUNREACH, "no route")
        if net.dns:
            await self._sleep(self._rng.choice((0.0, 2.0, 5.0)), left)
            raise socket.gaierror
        if net.lies("nx"):
            raise socket.gaierror
        return left

    async def _connect(self, server: AuthServer, epoch: int, left: float) -> None:
        net = self._net
        if "fast" in net.troubles["routes"]:
            raise OSError(errno.EHOSTUNREACH, "no route")
        if net.lies("refused") or "refused" in server.storms[-1:]:
            raise ConnectionRefusedError
        for pause in (*SYN_AGAIN, NEVER):
            if net.epoch == epoch and not net.troubles["routes"] and not _drops(server, net.vpn_down):
                return
            left = await self._sleep(pause, left)

    async def _shake_hands(self, call: Call, server: AuthServer, stream: Stream, connect: float) -> None:
        net, took = self._net, self._step(0.07)
        if net.troubles["midway"] and self._rng.random() < 0.6:  # the others come right before the request
            net.troubles["midway"].pop()
            self._world.director.soon(self._rng.random() * took, "move")
        left = await self._sleep(took, connect)
        wrong = (net.portals and net.portals[-1] == "tls") or "tls" in server.storms[-1:] or net.lies("tls")
        if wrong:
            raise ssl.SSLCertVerificationError
        if net.hangs(server.host):
            await self._sleep(NEVER, left)
        if net.epoch != call.epoch:
            if self._rng.random() < 0.5:
                raise ConnectionResetError
            await self._sleep(NEVER, left)

    async def _stand_still(self, call: Call, stream: Stream) -> float:
        """Rarely the machine does something else now. Returns the seconds for which the connection was silent."""
        midway = self._net.troubles["midway"]
        if not midway and self._rng.random() >= STOOD_STILL:
            return 0.0
        began, stood = self._now(), self._rng.uniform(0.0, 3.0)
        if midway:
            midway.pop()
            self._world.director.soon(self._rng.random() * stood, "move")
        await asyncio.sleep(stood)
        stream.reset = self._net.epoch != call.epoch and self._rng.random() < 0.5
        return self._now() - began

    # --- the request and its answer ------------------------------------------------------------------------------------

    async def _sent(self, call: Call, progress: RequestProgress) -> None:
        self._world.checks.sent(call)
        self._world.checks.preflight.sent(call, progress)
        await self._process.crash_point_or_wait(REQUEST_IS_OUT)

    async def _send_early(
        self, call: Call, server: AuthServer, token: str, progress: RequestProgress
    ) -> asyncio.Task[Answer]:
        """The request leaves with the first packets: it arrives if they do, whatever the handshake comes to."""
        if self._net.down:
            raise OSError(errno.ENETUNREACH, "no route")
        progress.sent = True
        self._world.checks.sent(call)
        self._world.checks.preflight.sent(call, None)
        await self._process.crash_point_or_wait(REQUEST_IS_OUT)
        arrives = not (self._net.troubles["routes"] or self._net.troubles["lie"] or self._net.portals)
        arrives = (
            arrives and not _drops(server, self._net.vpn_down) and server.storms[-1:] not in (["refused"], ["tls"])
        )
        call.epoch = self._net.epoch
        work = self._answer(call, server, token, progress, 0.0 if arrives else NEVER)
        return asyncio.create_task(work, name=f"answer of {server.host}")

    async def _answer(
        self, call: Call, server: AuthServer, token: str, progress: RequestProgress, silent: float
    ) -> Answer:
        """What comes back, from the server or in its place."""
        net, world = self._net, self._world
        if net.portals:
            return portal(net.portals[-1])
        if server.vpn == "waf" and net.vpn_down:
            return trouble("waf", world.rng)[0]
        lost = net.epoch != call.epoch or silent > net.nat_forgets()
        if net.troubles["roam"]:
            net.troubles["roam"].pop()
            self._world.director.soon(self._rng.uniform(0.001, 0.05), "move")
            lost = lost or self._rng.random() < LOST_ON_THE_WAY
        if lost:
            await self._never(call, "the request was lost on the way", losses.MOVED)
        began = self._now()
        answer = await self._served(call, server, token, progress)
        if self._now() - began > net.nat_forgets():
            await self._never(call, "the NAT had forgotten the connection", losses.FORGOTTEN)
        return answer

    async def _never(self, call: Call, text: str, fate: str) -> None:
        """No answer will come. Waits for the end of the attempt."""
        self._world.say(call.name, text)
        call.delivered, call.fate = False, call.fate or fate
        self._world.checks.recovery.answer_lost(call.name)
        await asyncio.sleep(NEVER)

    async def _way_back(self, call: Call, answer: Answer) -> Answer:
        """The answer, once it has arrived."""
        net = self._net
        if net.troubles["loss"]:
            await asyncio.sleep(self._step(0.0))
        for pause in ANSWER_AGAIN:
            if not net.troubles["oneway"] or net.epoch != call.epoch:
                break
            call.fate = losses.ONE_WAY
            await asyncio.sleep(pause)
        if net.epoch != call.epoch:
            self._world.say(call.name, "the answer was lost with the network")
            call.delivered, call.fate = False, ""
            await asyncio.sleep(0.0 if self._world.rng.random() < 0.3 else NEVER)
            raise ConnectionResetError
        if net.troubles["oneway"]:
            await asyncio.sleep(NEVER)
        call.fate = ""
        return answer

    async def _served(self, call: Call, server: AuthServer, token: str, progress: RequestProgress) -> Answer:
        """The request has arrived: the server handles it, whatever the client does now."""
        world, rng = self._world, server.rng
        storm = server.storms[-1] if server.storms else ""
        if storm in ("500", "503", "429", "waf", "odd400"):
            answer, _ = trouble(storm, rng)
            await asyncio.sleep(rng.uniform(0.02, 0.5))
            return answer
        while server.errs_next:
            world.director.happen(login_plan.begun(server.errs_next.pop(0), world.clocks.t, server.registration))
        if server.blunders:
            blunder = server.blunders[-1]
            await asyncio.sleep(rng.uniform(0.02, 0.5))
            return refusal(blunder)
        unlucky = rng.random() if "answer" not in world.without else 1.0
        slow = 0.06 > unlucky >= 0.02
        before = rng.uniform(1.0, 25.0) if slow and rng.random() < 0.5 else rng.uniform(0.02, 0.3)
        acts = storm in ("", "broken200") or rng.random() < 0.5
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if acts:
            world.server_acts_later(before, lambda: self._act(call, server, token, done))
        if storm in ("502", "504", "broken200"):
            await asyncio.sleep(before + 0.1)
            return trouble(storm, rng)[0]
        if storm in ("hang", "reset") or unlucky < 0.02:
            call.delivered = False
            world.checks.answer_will_be_lost(call)
            await asyncio.sleep(NEVER if storm == "hang" or rng.random() < 0.4 else before + 0.1)
            _break_off(rng.choice(("reset", "eof", "truncated")), progress)
        answer = await asyncio.shield(done)
        await asyncio.sleep(rng.uniform(1.0, 12.0) if slow else rng.uniform(0.01, 0.2))
        return answer

    def _act(self, call: Call, server: AuthServer, token: str, done: asyncio.Future[Answer]) -> None:
        world = self._world
        answer, family = server.act(token, world.clocks.t)
        world.checks.preflight.acted(call)
        world.checks.acted(call, server, token, family)
        if not done.done():
            done.set_result(answer)


@dataclass(frozen=True, slots=True)
class RequestLine:
    """What the trace shows of a request."""

    method: bytes


def request_line(request: Request) -> RequestLine:
    """The request as httpcore's trace shows it."""
    return RequestLine(request.method.encode())


def _drops(server: AuthServer, vpn_down: int) -> bool:
    """Whether packets to this server vanish."""
    return bool(server.vpn == "timeout" and vpn_down) or "timeout" in server.storms[-1:]


def _break_off(how: str, progress: RequestProgress) -> None:
    """Raise what httpx2 raises when an answer ends like this."""
    if how == "reset":
        raise ConnectionResetError
    progress.answered = how == "truncated"
    raise httpx2.RemoteProtocolError("Server disconnected without sending a response.")
