"""Everything at once, drawn at random: kept answers, repeats, fallbacks, policies, limits, reloads, keys that end, calls that
are broken off. Whatever meets, each call has one row, the books have what the provider bills, and nobody gets what is not his."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.quotas import quotas_of
from keeptrusts.core.limits.rules import LimitRules, Scoped
from keeptrusts.core.routing.rules import Failover, Retry, Routing
from keeptrusts.core.routing.target import Target
from keeptrusts.core.rulebook.rulebook import CacheRules, ConsumerGroup, Embedder, Policy, Rulebook
from keeptrusts.gateway.taking_rules import take_rules
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import (
    BILL,
    COST,
    DONE,
    END,
    GROUP,
    MAIN,
    STREAM_HEAD,
    TEAM,
    USAGE,
    House,
    Told,
    answer,
    ask,
    chunk,
    reply,
    with_rules,
)
from tests.gateway.keys import bearer, record, tell
from tests.gateway.wires import Wire

OTHER_TEAM = "team_sales"
OTHER = ConsumerGroup("sales", api_key="kt_cg_the-other-secret", wallet_team_id=OTHER_TEAM, policies=())
"""Nothing is judged for it, so that what it buys may be kept and still not be for the others."""

SPARE = Target("openai-spare", "openai", base_url="http://spare/v1")
EMBEDDER = Target("embedder", "openai", model="vectors", base_url="http://vectors/v1")
BLOCK = Policy("block", "keyword", "block", {"words": ["zebra"]}, phase="output")
REDACT = Policy("redact", "keyword", "redact", {"words": ["donkey"]}, phase="both")
QUESTIONS = ("What is a ledger?", "What is the donkey?", "Name a city.", "Say zebra.")
TEXTS = ("fine", "a zebra", "a donkey runs")
VECTOR_COST = 7 * 150
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


def drawn_rules(draw: random.Random) -> Rulebook:
    semantic = CacheRules(enabled=True, threshold=0.9, embedder=Embedder("embedder", "gpt-4o-mini"), max_wait_s=30)
    exact = CacheRules(
        enabled=True, max_wait_s=draw.choice((0, 5)), scope=draw.choice(("team", "organization", "organization"))
    )
    cache = draw.choice((CacheRules(), exact, exact, semantic))
    limits = LimitRules(
        everybody=quotas_of(
            draw.choice((LimitSet(), LimitSet(concurrent_requests=6), LimitSet(tokens_per_minute=3000)))
        ),
        targets=draw.choice((Scoped(), Scoped(quotas_of(LimitSet(concurrent_requests=2))))),
    )
    failover = draw.choice((Failover(), Failover(retry=Retry(max_attempts=3, budget=1.0)), Failover(enabled=False)))
    return with_rules(
        groups=(GROUP, OTHER),
        targets=draw.choice(((MAIN, SPARE, EMBEDDER), (MAIN, EMBEDDER))),
        cache=cache,
        limits=limits,
        routing=Routing(failover=failover, strategy=draw.choice(("cost-priority", "least-busy", "round-robin"))),
        policies=draw.choice(((), (BLOCK, REDACT), (BLOCK, REDACT))),
        max_response_bytes=draw.choice((None, None, 300)),
        reserve_wait_ms=500,
    )


class Crowd:
    """Clients of two teams, and the provider. Each bought answer has a number: ``bought`` says whose request that was;
    ``billed`` is what the provider wants for whole answers."""

    def __init__(self, loop: HandLoop, path: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.loop = loop
        self.rules = drawn_rules(self.draw)
        self.house = House(loop, path, self.rules, budget=self.draw.choice((10**9, 120_000)))
        self.house.control.allocate(OTHER_TEAM, 10**9)
        tell(self.house, record())
        self.reloaded = False
        self.shared = self.rules.cache.scope == "organization"
        self.told: list[tuple[Told, str]] = []
        self.bought: list[str] = []
        self.billed = 0
        self.begun: dict[Wire, int] = {}

    def step(self) -> None:
        act = self.draw.choices(
            (self.call, self.answer, self.wait, self.key, self.reload, self.cancel), (30, 40, 8, 3, 0.3, 1)
        )
        act[0]()

    def call(self) -> None:
        draw = self.draw
        team, headers = draw.choice(
            ((TEAM, {}), (TEAM, {}), (TEAM, bearer()), (OTHER_TEAM, {"x-consumer-group": str(OTHER.api_key)}))
        )
        headers = dict(headers)
        if draw.random() < 0.3:
            headers["idempotency-key"] = draw.choice("xy")
        fields: dict[str, Any] = {"stream": True} if draw.random() < 0.4 else {}
        body = ask(messages=[{"role": "user", "content": draw.choice(QUESTIONS)}], **fields)
        path = "/v1/messages" if draw.random() < 0.25 else "/v1/chat/completions"
        self.told.append((Told(self.house, body, headers, path), team))

    def waiting(self) -> list[Wire]:
        """Connections on which the provider is to say something."""
        return [w for w in self.house.board.wires if w.protocol._exchange is not None and not w.is_closing()]

    def answer(self) -> None:
        wires = self.waiting()
        if wires:
            self.says(self.draw.choice(wires))

    def says(self, wire: Wire) -> None:
        head, _, body = wire.written[wire.written.rindex(b"POST ") :].partition(b"\r\n\r\n")
        begun = self.begun.pop(wire, None)
        fate = self.draw.choices(("whole", "reset", 400, 429, 500), (10, 1, 1, 1, 1))[0]
        if fate == "reset":
            wire.resets()
        elif isinstance(fate, int) and begun is None:
            wire.says(answer(fate, b"{}", **{"retry-after": "1"}))
        elif b"/embeddings" in head:
            data = [{"index": 0, "embedding": self.draw.choice(((1.0, 0.0), (0.0, 1.0)))}]
            self.billed += VECTOR_COST
            wire.says(answer(200, json.dumps({"data": data, "usage": {"prompt_tokens": 7}}).encode()))
        else:
            self.tells(wire, head, bool(json.loads(body).get("stream")), begun)

    def tells(self, wire: Wire, head: bytes, stream: bool, begun: int | None) -> None:
        if begun is None:
            begun = len(self.bought)
            found = re.search(rb"x-request-id: (\S+)", head)
            assert found is not None
            self.bought.append(found[1].decode())
            text = f"#{begun}# {self.draw.choice(TEXTS)}"
            if stream:
                piece = {"choices": [{"index": 0, "delta": {"content": text}}]}
                self.begun[wire] = begun
                wire.says(STREAM_HEAD + chunk(b"data: " + json.dumps(piece).encode() + b"\n\n"))
                return
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            said = reply(USAGE, choices=[choice])
        else:
            said = chunk(STOP + BILL + DONE) + END
        self.billed += COST
        wire.says(said)

    def wait(self) -> None:
        self.loop.advance(self.draw.choice((0.1, 0.6, 2.0, 10.0)))

    def key(self) -> None:
        tell(self.house, record(status=self.draw.choice(("active", "suspended", "revoked"))))

    def reload(self) -> None:
        self.reloaded, self.rules = True, drawn_rules(self.draw)
        self.shared |= self.rules.cache.scope == "organization"
        self.loop.done(take_rules(self.house.node, self.rules))

    def cancel(self) -> None:
        if self.told:
            self.draw.choice(self.told)[0].task.cancel()
            self.loop.turn()

    def finish(self) -> None:
        """Everybody gets an answer, and all that may take time has it."""
        for _ in range(1_000):
            if wires := self.waiting():
                self.says(wires[0])
            elif all(told.task.done() for told, _ in self.told):
                break
            else:
                self.loop.advance(5.0)
        self.loop.advance(20.0)

    def check(self) -> None:
        node, rows = self.house.node, self.house.rows()
        assert all(told.task.done() for told, _ in self.told), "a call never ends"
        assert [told for told, _ in self.told if not told.task.cancelled() and told.task.exception()] == []
        assert len({row.call_id for row in rows}) == len(rows) == len(self.told)
        assert not any(row.reason == "internal_error" for row in rows)
        for row in rows:
            assert (row.cost_nanos or 0) == sum(attempt.cost_nanos for attempt in row.attempts)
        settled = sum(a.cost_nanos for row in rows for a in row.attempts if a.usage_source == "provider")
        assert settled <= self.billed <= sum(row.cost_nanos or 0 for row in rows)
        for team in (TEAM, OTHER_TEAM):
            of_team = sum(row.cost_nanos or 0 for row in rows if row.attribution.team == team)
            assert self.house.control.spent(team) == of_team
        for account in node.treasury.purse.accounts.values():
            assert (account.in_flight, account.held_nanos, len(account.waiters)) == (0, 0, 0)
        assert {meter.scope: meter.running for meter in node.meters if meter.running} == {}
        assert (node.answers.flights, node.answers.repeats._under_way) == ({}, {})
        assert [ready.state.in_flight for ready in node.targets.ready.values() if ready.state.in_flight] == []
        teams = {row.request_id: row.attribution.team for row in rows}
        for told, team in self.told:
            assert self.shared or {teams[self.bought[int(n)]] for n in re.findall(rb"#(\d+)#", told.body)} <= {team}
            if team == TEAM and not self.reloaded:
                assert BLOCK not in self.rules.policies or b"zebra" not in told.body
                assert REDACT not in self.rules.policies or b"donkey" not in told.body


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


@pytest.mark.parametrize("seed", range(12))
def test_whatever_meets_each_call_has_its_row_its_price_and_only_its_own(
    loop: HandLoop, tmp_path: Path, seed: int
) -> None:
    crowd = Crowd(loop, tmp_path, seed)
    for _ in range(120):
        crowd.step()
    crowd.finish()
    crowd.check()
    crowd.house.stop()
