"""The way to the store in which several hosts count: one connection, whatever waits goes in one trip, and a trip has a bound."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from keeptrusts.core.limits.rules import StoreAddress
from keeptrusts.gateway.limit_scripts import ADD, ENTER, GREET, LEAVE, STAY, script

log = logging.getLogger("keeptrusts::gateway")

PREFIX = "keeptrusts:{limits}:"
"""One hash tag: all limits of a call are decided in one step, so all of them must be in one place of a cluster."""

TRIP_OPS_MAX = 256
WAITING_MAX = 50_000
CONNECT_S = 2.0
LOOK_AGAIN_S = 0.5
GREET_S = 10.0
LEASE_MS = 30_000
"""How long a place is kept for a call, and a node is counted, unless they are heard of again."""

SCRIPTS = {name: script(body) for name, body in (("enter", ENTER), ("leave", LEAVE), ("stay", STAY), ("add", ADD))}


AWAY = "The store of limits is away (%s): each host has its part of every limit meanwhile."


class NoStore(Exception):
    """The store's address can't be used: one line for a person, which holds no secret."""


class Trip:
    """One thing to be done in the store: a script, its keys and arguments; ``answer`` for whoever waits."""

    __slots__ = ("answer", "arguments", "keys", "script")

    def __init__(
        self, name: str, keys: tuple[str, ...], arguments: tuple[Any, ...], answer: asyncio.Future[Any] | None = None
    ) -> None:
        self.script = name
        self.keys = keys
        self.arguments = arguments
        self.answer = answer


class StoreLink:
    """``away``: the store does not answer, and nothing is sent. ``nodes``: how many hosts it counted last. ``failures``: how
    often it fell away."""

    def __init__(self, address: StoreAddress, environment: Mapping[str, str]) -> None:
        """Raises NoStore."""
        self.away = True
        self.nodes = 0
        self.failures = 0
        self._timeout_s = address.timeout_ms / 1000
        self._client = _client(address, environment)
        self._queue: list[Trip] = []
        self._wake = asyncio.Event()
        self._hashes: dict[str, str] = {}
        self._born: bytes | None = None
        self._ended = False

    def send(self, trip: Trip) -> None:
        """Takes it along on the next trip. While the store is away whoever waits is told so, and the rest is lost."""
        if self.away or len(self._queue) >= WAITING_MAX:
            _give_up(trip)
            return
        self._queue.append(trip)
        self._wake.set()

    def end(self) -> None:
        """Makes ``run`` return. To cancel it is not enough: its client may swallow that."""
        self._ended = True
        self._wake.set()

    async def run(self, member: str, returned: Callable[[bool], None], tick: Callable[[], None]) -> None:
        """Keeps in touch, until it is told to ``end``. ``member`` is this host's name among those that count there.

        ``returned`` is called when the store is there, or there again: whether it has lost what it knew. ``tick`` is called
        every GREET_S.
        """
        said = False
        try:
            while not self._ended:
                try:
                    async with asyncio.timeout(CONNECT_S):
                        returned(await self._meet(member))
                except Exception as error:
                    if not said:
                        said = True
                        log.warning(AWAY, _why(error))
                    await self._hang_up()
                    await asyncio.sleep(LOOK_AGAIN_S)
                    continue
                if said:
                    log.info("The store of limits is back.")
                said = False
                try:
                    await self._trips(member, tick)
                except Exception as error:
                    await self._fall(error)
                    said = True
        finally:
            self.away = True
            self._drop_all()
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(self._timeout_s):
                    await self._client.aclose()

    async def _meet(self, member: str) -> bool:
        """Connects, brings the scripts, and hears who else is there. Whether the store has lost what it knew."""
        for name, text in SCRIPTS.items():
            self._hashes[name] = await self._client.script_load(text)
        born = await self._greet(member)
        lost = self._born is not None and born != self._born
        self._born = born
        self.away = False
        return lost

    async def _greet(self, member: str) -> bytes:
        keys = (PREFIX + "nodes", PREFIX + "born")
        nodes, born = await self._client.eval(script(GREET), 2, *keys, member, LEASE_MS, os.urandom(8).hex())
        self.nodes = int(nodes)
        return bytes(born)

    async def _trips(self, member: str, tick: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        greet_at = loop.time() + GREET_S
        while not self._ended:
            if not self._queue:
                self._wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(greet_at):
                        await self._wake.wait()
            if loop.time() >= greet_at:
                tick()
                async with asyncio.timeout(self._timeout_s):
                    if await self._greet(member) != self._born:
                        raise RedisError("it has lost its memory")
                greet_at = loop.time() + GREET_S
            batch, self._queue = self._queue[:TRIP_OPS_MAX], self._queue[TRIP_OPS_MAX:]
            if batch:
                try:
                    await self._trip(batch)
                except BaseException:
                    self._queue = batch + self._queue
                    raise

    async def _trip(self, batch: list[Trip]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for trip in batch:
            pipeline.evalsha(self._hashes[trip.script], len(trip.keys), *trip.keys, *trip.arguments)  # type: ignore[unused-awaitable]
        async with asyncio.timeout(self._timeout_s):
            answers = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, RedisError):
                raise answer
        for trip, answer in zip(batch, answers, strict=True):
            if trip.answer is not None and not trip.answer.done():
                trip.answer.set_result(answer)

    async def _fall(self, error: BaseException) -> None:
        self.away = True
        self.failures += 1
        log.warning(AWAY, _why(error))
        self._drop_all()
        await self._hang_up()

    async def _hang_up(self) -> None:
        """An answer that is still on its way must never be taken for that to another question."""
        with suppress(RedisError, OSError):
            await self._client.connection_pool.disconnect(inuse_connections=True)

    def _drop_all(self) -> None:
        dropped, self._queue = self._queue, []
        for trip in dropped:
            _give_up(trip)


def _give_up(trip: Trip) -> None:
    if trip.answer is not None and not trip.answer.done():
        trip.answer.set_result(None)


def _why(error: BaseException) -> str:
    """What is wrong, without what a client library may tell of an address or a command."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return type(error).__name__


def _client(address: StoreAddress, environment: Mapping[str, str]) -> "redis.asyncio.Redis":
    url = address.url
    if address.url_env is not None:
        url = environment.get(address.url_env)
        if not url:
            raise NoStore(f"{address.url_env} is not set: it holds the address of the store of limits")
    password = None
    if address.secret_env is not None:
        password = environment.get(address.secret_env)
        if not password:
            raise NoStore(f"{address.secret_env} is not set: it holds the password of the store of limits")
    settings: dict[str, Any] = {} if password is None else {"password": password}
    try:
        return redis.asyncio.Redis.from_url(
            url or "",
            socket_connect_timeout=CONNECT_S,
            socket_timeout=CONNECT_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
            **settings,
        )
    except ValueError:
        where = f"what {address.url_env} holds" if address.url_env else "`limits.store`"
        raise NoStore(f"{where} is not the address of a Redis or Valkey: redis://HOST:PORT/DB for example") from None
