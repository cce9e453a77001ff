"""F13 to F15: what providers do wrong, how clients leave, and calls that need a second attempt."""

import random
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from tests.journeys.crowd import parse_answer
from tests.journeys.policy_files import Policy, enforcing
from tests.soak.checker import check, close_books
from tests.soak.fault_proxy import HEALTHY, Fault
from tests.soak.load import call_bytes
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Account, Shape, Site, running_site
from tests.soak.trial import Trial

BUDGET_NANOS = 500_000_000
RST_ON_CLOSE = struct.pack("ii", 1, 0)
MEMORY_BYTES = 600 * 1024 * 1024
CALLS_EACH = 4

PROVIDER_WISHES = (
    *(f"status={status}" for status in (400, 401, 403, 404, 408, 422, 429, 500, 502, 503, 529)),
    *(f"fault={fault} at={at} gap_ms=1" for fault in ("reset", "cut", "hang") for at in (0, 1, 40, 400, 900)),
    "fault=silent",
    "fault=garbage",
    "fault=no_usage",
    "fault=usage_early",
    "fault=long_line at=20000000",
    "gap_ms=20 out=20",
    "piece=1 gap_ms=1 out=3",
    "served=a-model-that-nobody-knows",
    *(f"lie={lie}" for lie in ("negative", "text", "null", "huge", "fraction")),
)
WIRE_FAULTS = (Fault(refuse=True), Fault(cut_answer=1.0), Fault(cut_after=1), Fault(cut_after=300), Fault(delay_s=0.1))
MAPPED = {200, 400, 401, 403, 404, 408, 422, 429, 502, 503, 504}


def impatient(provider_url: str, api_url: str) -> Policy:
    """Time-outs short enough to be waited for many times."""
    policy = enforcing(provider_url, api_url)
    [target] = policy["providers"]["targets"]
    target["timeouts"] = {"first_byte_s": 0.7, "idle_s": 0.7}
    return policy


def bad_provider(ground: Ground) -> Iterator[Trial]:
    """Each trial one way of being wrong, streamed and whole, then a call that must go well."""
    shape = Shape(ground.engine, ground.nodes, frozenset({"provider"}), impatient)
    with running_site(ground.directory, shape) as site:
        ways: list[str | Fault] = [*PROVIDER_WISHES, *WIRE_FAULTS]
        ground.draw.shuffle(ways)
        for number in range(ground.trials):
            yield _wrong(site, ways[number % len(ways)])
        yield close_books(site)


def _wrong(site: Site, way: str | Fault) -> Trial:
    account = site.account(BUDGET_NANOS)
    prompt = "Go wrong." if isinstance(way, Fault) else f"Go wrong. [[{way}]]"
    if isinstance(way, Fault):
        site.proxies["provider"].reset_all()
        site.proxies["provider"].set(way)
    problems = []
    statuses = _ask(site, account, [(prompt, number % 2 == 0) for number in range(CALLS_EACH)])
    if unmapped := [status for status in statuses if status not in MAPPED]:
        problems.append(f"{way}: answered with {unmapped}")
    site.proxies["provider"].set(HEALTHY)
    if isinstance(way, Fault):
        site.proxies["provider"].reset_all()
    began = time.monotonic()
    while _ask(site, account, [("And now well.", False)]) != [200]:
        if time.monotonic() - began > 10:
            problems.append(f"{way}: afterwards no call goes well")
            break
    problems += [f"{way}: a node takes {size} bytes" for size in map(_resident, site.pids) if size > MEMORY_BYTES]
    trial = check(site, account, problems=problems)
    return trial.after(time.monotonic() - began)


def _ask(site: Site, account: Account, calls: list[tuple[str, bool]], model: str = "gpt-4o-mini") -> list[int]:
    """The statuses of these calls, made at the same time; 0 for one that was broken off."""
    named = [(account.next_id(), prompt, stream) for prompt, stream in calls]
    statuses = []
    for name, prompt, stream in named:
        raw = _raw(site, call_bytes(account, name, prompt, model, stream=stream))
        try:
            answer = parse_answer(raw)
        except ValueError:
            statuses.append(200 if raw.startswith(b"HTTP/1.1 200") else 0)
            continue
        statuses.append(answer.status)
        whole = not (stream and answer.status == 200) or b"[DONE]" in answer.body
        if whole:
            account.heard(name, answer.status)
    return statuses


def _raw(site: Site, request: bytes) -> bytes:
    data = b""
    with socket.create_connection(("127.0.0.1", site.ports[0]), timeout=30) as caller:
        caller.sendall(request)
        try:
            while piece := caller.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
    return data


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def leaving_clients(ground: Ground) -> Iterator[Trial]:
    """Callers that leave at a random byte, by FIN or RST, half close, or read slowly: one row each, at the true usage."""
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for _ in range(ground.trials):
            account = site.account(BUDGET_NANOS)
            for _ in range(CALLS_EACH):
                _leave(site, account, ground.draw)
            yield check(site, account)
        yield close_books(site)


def _leave(site: Site, account: Account, draw: random.Random) -> None:
    wish = draw.choice(("out=25 gap_ms=4", "first_ms=80", "out=25", "piece=40 gap_ms=2"))
    request = call_bytes(account, account.next_id(), f"Talk. [[{wish}]]", stream="piece" not in wish)
    how = draw.choice(("fin", "rst", "half", "early", "slow"))
    with socket.socket() as caller:
        caller.settimeout(30)
        if how == "slow":
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        caller.connect(("127.0.0.1", draw.choice(site.ports)))
        if how == "early":
            caller.sendall(request[: draw.randrange(1, len(request))])
        else:
            caller.sendall(request)
        if how == "half":
            caller.shutdown(socket.SHUT_WR)
        left = 10**9 if how in ("half", "slow") else draw.randint(0, 3_000)
        while left > 0 and how != "early":
            data = caller.recv(min(left, 256 if how == "slow" else 4096))
            if not data:
                break
            left -= len(data)
        if how == "rst":
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)


def second_attempts(ground: Ground) -> Iterator[Trial]:
    """The first model of a group fails after it has served, or before: each attempt is booked, the call has one row."""
    wishes = ("status=500", "status=429", "fault=reset at=0", "fault=cut at=1", "fault=garbage", "fault=silent")
    with running_site(ground.directory, Shape(ground.engine, ground.nodes, policy=impatient)) as site:
        for number in range(ground.trials):
            account = site.account(BUDGET_NANOS)
            prompt = f"Try. [[only=gpt-4o-mini {wishes[number % len(wishes)]}]]"
            statuses = _ask(site, account, [(prompt, False), (prompt, True), ("Well.", False)], "cost-optimized")
            problems = [f"{prompt}: answered with {statuses}"] if set(statuses) - MAPPED else []
            yield check(site, account, problems=problems)
        yield close_books(site)


SCENARIOS = (
    Scenario("F13", "provider goes wrong", bad_provider, full=45, small=4, nodes=(1,)),
    Scenario("F14", "client goes away", leaving_clients, full=15, small=2, nodes=(1, 4)),
    Scenario("F15", "second attempts", second_attempts, full=30, small=3, nodes=(1,)),
)
