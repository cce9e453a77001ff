"""Callers that never stop asking while gateways come and go, and what their calls' rows must then be."""

import asyncio
import itertools
import threading
from collections import Counter

from tests.journeys.books import Event, balance, nanos, nothing_held
from tests.journeys.crowd import chat_bytes, parse_answer
from tests.journeys.processes import until
from tests.journeys.product import Product
from tests.providers.truth import Served

CALLERS = 24
PROMPTS = ("Be brief. [[out=5]]", "Think. [[out=20 first_ms=15]]", "Talk. [[out=30 gap_ms=3]]")


class Load:
    """Callers that never stop asking, on a thread of their own; a broken connection is their daily bread."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._requests = itertools.cycle(
            chat_bytes("gpt-4o-mini", prompt, headers, max_tokens=30, stream=stream)
            for prompt in PROMPTS
            for stream in (False, True)
        )
        self._port = port
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.statuses: Counter[int] = Counter()
        self.answered: list[str] = []
        self.broken = 0

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(self._caller())

    async def _caller(self) -> None:
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(30):
                    await self._call(next(self._requests))
            except (OSError, ValueError):
                self.broken += 1
                await asyncio.sleep(0.02)  # the gateway is down: ask again soon, but not in a frenzy

    async def _call(self, request: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request)
            answer = parse_answer(await reader.read(-1))
        finally:
            writer.close()
        self.statuses[answer.status] += 1
        if answer.status == 200:
            self.answered.append(answer.headers["x-request-id"])


def check_rows(product: Product, load: Load, truth: list[Served], rows: list[Event]) -> None:
    spent = nanos(nothing_held(product, "team_crash", 20.0)["spent"])
    by_request = Counter(row["request_id"] for row in rows)
    assert max(by_request.values()) == 1, "a call has two rows"
    cost = {row["request_id"]: nanos(row["cost_usd"]) for row in rows}
    flagged = {row["request_id"] for row in rows if row["status"] == "recovered"}
    assert {served.request_id for served in truth} <= cost.keys(), "the provider served calls that have no row"
    assert set(load.answered) <= cost.keys(), "a caller saw the end of a call that has no row"
    assert not set(load.answered) & flagged, "a call that was answered to its end was settled before"
    off = {
        served.request_id: (cost[served.request_id], served.cost_nanos)
        for served in truth
        if cost[served.request_id] != served.cost_nanos
    }
    assert off.keys() <= flagged, "a row differs from the provider's bill and is not flagged"
    assert all(booked >= billed for booked, billed in off.values()), "the provider bills more than was booked"
    assert spent == sum(cost.values()) >= sum(served.cost_nanos for served in truth)
    assert flagged, "ten kills under load and not one call was caught in the middle: the test does not bite"
    assert product.gateway.stop() == 0
    until(lambda: nanos(balance(product, "team_crash")["leased"]) == 0, "every dead node's lease came back")
