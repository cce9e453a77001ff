"""The load generator: keep-alive connections on one epoll loop, closed-loop or at a fixed arrival rate.

An asyncio client would cost as much as the gateways under test, so this one reads and writes sockets itself.
`python -m bench.load --port 9000 --seconds 2` drives anything on 127.0.0.1 that answers like the mock provider.
"""

import argparse
import json
import select
import socket
import time
from collections import deque
from dataclasses import dataclass, field

from bench.answer_reader import AnswerReader, Unframed
from bench.arrival_clock import ArrivalClock
from bench.requests import Address, Ask, request_bytes
from bench.tally import Tally, quantile_us

CALLS_MAX = 2_000_000
ERRORS_MAX = 50
STALL_S = 60.0
_OPEN_LOOP_CONNECTIONS = 128
_READ_BYTES = 64 * 1024  # larger ones would be mapped and unmapped by the allocator at every read


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send, where, how long: it ends at the first of `seconds`, `calls_max` and too many errors."""

    port: int
    request: bytes
    stream: bool
    seconds: float
    connections: int = 32
    calls_max: int = CALLS_MAX


class _Caller:
    """One connection and the call it carries."""

    __slots__ = ("asked_at", "busy", "reader", "socket", "spoke_at")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.reader = AnswerReader()
        self.busy = False
        self.asked_at = 0.0
        self.spoke_at = 0.0


@dataclass(slots=True)
class _Run:
    """The state of one load run."""

    plan: Plan
    tally: Tally = field(default_factory=Tally)
    poll: select.epoll = field(default_factory=select.epoll)
    callers: dict[int, _Caller] = field(default_factory=dict)
    asked: int = 0

    def connect(self) -> _Caller:
        caller = _Caller(self.plan.port)
        self.callers[caller.socket.fileno()] = caller
        self.poll.register(caller.socket.fileno(), select.EPOLLIN)
        return caller

    def reconnect(self, caller: _Caller) -> _Caller:
        self.drop(caller)
        return self.connect()

    def drop(self, caller: _Caller) -> None:
        self.callers.pop(caller.socket.fileno(), None)
        caller.socket.close()

    def ask(self, caller: _Caller, counted_from: float) -> None:
        """Send the request; `counted_from` is the moment its latency is counted from."""
        if caller.socket.fileno() < 0:  # the gateway closed it while it was idle, as it may
            caller = self.connect()
        caller.reader.reset()
        caller.busy = True
        caller.spoke_at = 0.0
        caller.asked_at = counted_from
        self.asked += 1
        request = self.plan.request
        sent = caller.socket.send(request)
        if sent < len(request):
            caller.socket.setblocking(True)
            caller.socket.sendall(request[sent:])
            caller.socket.setblocking(False)

    def hear(self, caller: _Caller) -> _Caller | None:
        """Read what came; a caller that is free again when its call has ended, else None."""
        if not caller.busy:
            self.drop(caller)
            return None
        try:
            data = caller.socket.recv(_READ_BYTES)
            complete = caller.reader.feed(data) if data else False
        except (OSError, Unframed, ValueError) as error:
            self.tally.failed(f"{type(error).__name__}: {error}")
            return self.reconnect(caller)
        now = time.perf_counter()
        if not caller.spoke_at and caller.reader.speaks:
            caller.spoke_at = now
        if not data:
            self.tally.failed("the gateway closed the connection in the middle of: " + caller.reader.excerpt())
            return self.reconnect(caller)
        if not complete:
            return None
        caller.busy = False
        if caller.reader.is_stream() if self.plan.stream else caller.reader.is_whole_answer():
            self.tally.calls += 1
            self.tally.latencies_s.append(now - caller.asked_at)
            self.tally.first_bytes_s.append(caller.spoke_at - caller.asked_at)
        else:
            self.tally.failed("not the expected answer: " + caller.reader.excerpt())
        return self.reconnect(caller) if caller.reader.closes else caller

    def may_ask(self, until: float) -> bool:
        return self.asked < self.plan.calls_max and self.tally.errors < ERRORS_MAX and time.perf_counter() < until

    def close(self) -> None:
        for caller in list(self.callers.values()):
            self.drop(caller)
        self.poll.close()


def closed_loop(plan: Plan) -> Tally:
    """Each connection asks again as soon as it is answered. Raises OSError when nothing listens."""
    run = _Run(plan)
    try:
        callers = [run.connect() for _ in range(plan.connections)]
        start = time.perf_counter()
        until = start + plan.seconds
        for caller in callers:
            run.ask(caller, time.perf_counter())
        in_flight = plan.connections
        while in_flight:
            ready = run.poll.poll(STALL_S)
            if not ready:
                run.tally.failed(f"no answer for {STALL_S:.0f} s")
                break
            for fd, _ in ready:
                free = run.hear(run.callers[fd])
                if free is None:
                    continue
                if run.may_ask(until):
                    run.ask(free, time.perf_counter())
                else:
                    in_flight -= 1
        run.tally.seconds = time.perf_counter() - start
        return run.tally
    finally:
        run.close()


def open_loop(plan: Plan, rate_per_s: float) -> Tally:
    """Calls arrive at a fixed rate whether or not earlier ones are answered.

    Latency counts from the scheduled arrival, so that a call's wait for a free connection is part of it.
    """
    run = _Run(plan)
    with ArrivalClock(rate_per_s) as clock:
        try:
            free = deque(run.connect() for _ in range(_OPEN_LOOP_CONNECTIONS))
            arrivals = min(plan.calls_max, int(rate_per_s * plan.seconds))
            run.poll.register(clock.fileno(), select.EPOLLIN)
            waiting: deque[float] = deque()
            start = time.perf_counter()
            arrived = 0
            while arrived < arrivals or waiting or len(free) < _OPEN_LOOP_CONNECTIONS:
                ready = run.poll.poll(STALL_S)
                if run.tally.errors >= ERRORS_MAX:
                    break
                for fd, _ in ready:
                    if fd == clock.fileno():
                        clock.acknowledge()
                    elif (heard := run.hear(run.callers[fd])) is not None:
                        free.append(heard)
                now = time.perf_counter()
                while arrived < arrivals and (due := start + arrived / rate_per_s) <= now:
                    waiting.append(due)
                    arrived += 1
                if now > start + plan.seconds + STALL_S:
                    run.tally.failed(f"still unanswered {STALL_S:.0f} s after the last arrival: {len(waiting)} calls")
                    break
                while waiting and free:
                    run.ask(free.popleft(), waiting.popleft())
            run.tally.seconds = time.perf_counter() - start
            return run.tally
        finally:
            run.close()


def main() -> None:
    """Drive one address by hand and print the figures as JSON."""
    parser = argparse.ArgumentParser(description="Drive a gateway on 127.0.0.1 for a bounded time.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/v1/chat/completions")
    parser.add_argument("--header", action="append", default=[], help="name: value; may be given several times")
    parser.add_argument("--model", default="gpt-4o-mini")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--paced", action="store_true", help="with --stream: 22 events 5 ms apart")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rate", type=float, help="calls a second, open loop; closed loop when left out")
    options = parser.parse_args()
    headers = tuple((name.strip(), value.strip()) for name, value in (h.split(":", 1) for h in options.header))
    address = Address(options.port, options.path, headers, options.model)
    request = request_bytes(address, Ask(stream=options.stream, paced=options.paced))
    plan = Plan(options.port, request, options.stream, min(options.seconds, 600.0), options.concurrency)
    tally = open_loop(plan, options.rate) if options.rate else closed_loop(plan)
    quantiles = {f"p{share * 100:g}_us": quantile_us(tally.latencies_s, share) for share in (0.5, 0.99, 0.999)}
    figures = {"calls": tally.calls, "calls_per_s": tally.calls_per_s, "errors": tally.errors, **quantiles}
    figures["first_byte_p50_us"] = quantile_us(tally.first_bytes_s, 0.5)
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))
    if tally.first_error:
        print("first error:", tally.first_error)


if __name__ == "__main__":
    main()
