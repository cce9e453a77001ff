"""The network between gateways and control plane: slow, lossy, it repeats and parts. And the control plane's end of it.

``WireLink`` satisfies the gateway's ``Link``. What it sends goes over as bytes, as over HTTP, and meets the same functions in
the same order as the machine routes of the API (``api/resources/gateway.py``).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from keeptrusts.control import batches, leases, nodes, recovery, retirement
from keeptrusts.control.context import Control
from keeptrusts.control.denial import Denial
from keeptrusts.control.journal_reading import JournalFork, JournalGap
from keeptrusts.control.retrying import idempotent
from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.journal_format import DamagedJournal
from keeptrusts.core.link import Changes, Heartbeat, Lost, Registered, Registration, Shipped, Snapshot
from keeptrusts.gateway.link import LinkDown, LinkRefused, SequenceGap
from keeptrusts.store.contracts import StoreAway
from tests.simulation.loop import HERE, Process, VirtualLoop

TIMEOUT_S = 15.0
OPERATOR = "the-operators-token"


@dataclass
class Weather:
    """What the network does to a message, as shares of one; seconds of delay."""

    lost: float = 0.0
    repeated: float = 0.0
    broken: float = 0.0
    slow: float = 0.0
    delay_s: float = 0.001
    parted: set[str] = field(default_factory=set)


class Ask(msgspec.Struct):
    """A request on its way. ``answered`` gets a status and bytes."""

    route: str
    token: str
    body: bytes
    extra: tuple[int, bytes]
    answered: Any


class Network:
    """Carries requests to the API process that runs at the moment, and answers back."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.loop = loop
        self.process = Process(loop, "network")
        self.weather = Weather()
        self.dice = random.Random(f"network {seed}")
        self.api: Process | None = None
        self.control: Control | None = None
        self.under_way: list[Ask] = []
        self.after_commit: Callable[[str], None] = lambda route: None
        self.on_send: Callable[[str], float] = lambda route: 0.0
        self.counts = {"lost": 0, "repeated": 0, "broken": 0, "refused": 0, "served": 0}

    def _delay(self) -> float:
        weather, dice = self.weather, self.dice
        if dice.random() < weather.slow:
            return dice.choice((0.1, 0.5, 2.0, 20.0))
        return dice.random() * 2 * weather.delay_s

    def send(self, ask: Ask, host: str) -> None:
        """The request leaves the gateway's machine."""
        weather, dice = self.weather, self.dice
        if host in weather.parted:
            return
        if dice.random() < weather.lost:
            self.counts["lost"] += 1
            return
        self.process.later(self._delay() + self.on_send(ask.route), self._arrive, ask, host)
        if ask.route != "register" and dice.random() < weather.repeated:
            self.counts["repeated"] += 1
            self.process.later(self._delay(), self._arrive, ask, host)

    def _arrive(self, ask: Ask, host: str) -> None:
        if self.api is None or not self.api.alive or self.control is None:
            self.counts["refused"] += 1
            self._answer(ask, host, 503, b"the connection was refused")
            return
        self.under_way.append(ask)
        self.api.spawn(self._serve(ask, host, self.api, self.control))

    async def _serve(self, ask: Ask, host: str, api: Process, control: Control) -> None:
        try:
            status, body = 200, await ROUTES[ask.route](control, ask)
        except JournalGap as gap:
            status, body = 409, b"%d" % gap.last_seq
        except (JournalFork, DamagedJournal) as wrong:
            status, body = 422, str(wrong).encode()
        except StoreAway as away:
            status, body = 503, str(away).encode()
        except Denial as denial:
            status, body = 400, denial.message.encode()
        self.counts["served"] += 1
        if ask in self.under_way:
            self.under_way.remove(ask)
        self.after_commit(ask.route)
        self.process.later(0.0, self._back, ask, host, status, body)

    def _back(self, ask: Ask, host: str, status: int, body: bytes) -> None:
        weather, dice = self.weather, self.dice
        if host in weather.parted or dice.random() < weather.lost:
            self.counts["lost"] += 1
            return
        if dice.random() < weather.broken:
            self.counts["broken"] += 1
            status, body = 599, b"the connection was reset"
        self.process.later(self._delay(), self._answer, ask, host, status, body)

    def _answer(self, ask: Ask, host: str, status: int, body: bytes) -> None:
        if not ask.answered.done():
            ask.answered.set_result((status, body))

    def reset(self) -> None:
        """The API died: whoever waited for it hears of it."""
        for ask in self.under_way:
            self.process.later(self._delay(), self._answer, ask, "", 599, b"the connection was reset")
        self.under_way.clear()


class WireLink:
    """One gateway's link. Satisfies gateway.link.Link."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._token = OPERATOR

    async def register(self, registration: Registration) -> Registered:
        self._token = OPERATOR
        registered = await self._ask("register", msgspec.json.encode(registration), Registered)
        self._token = registered.node_token
        return registered

    async def introduce(self, registration: Registration) -> None:
        await self._ask("introduce", msgspec.json.encode(registration), Registration)

    async def snapshot(self) -> Snapshot:
        return await self._ask("snapshot", b"", Snapshot)

    async def changes(self, heartbeat: Heartbeat) -> Changes:
        return await self._ask("heartbeat", msgspec.json.encode(heartbeat), Changes)

    async def grant(self, request: GrantRequest) -> GrantAnswer:
        return await self._ask("grant", msgspec.json.encode(request), GrantAnswer)

    async def ship(self, groups: bytes, first_seq: int, previous_chain: bytes) -> Shipped:
        return await self._ask("ship", groups, Shipped, (first_seq, previous_chain))

    async def report_lost(self, lost: Lost) -> None:
        await self._ask("lost", msgspec.json.encode(lost), Lost)

    async def _ask(self, route: str, body: bytes, kind: Any, extra: tuple[int, bytes] = (0, b"")) -> Any:
        answered = asyncio.get_running_loop().create_future()
        self._network.send(Ask(route, self._token, body, extra, answered), HERE.get().host.name)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, answer = await answered
        except TimeoutError:
            raise LinkDown("no answer came in time") from None
        if status == 409:
            raise SequenceGap(int(answer))
        if status >= 500:
            raise LinkDown(answer.decode())
        if status >= 400:
            raise LinkRefused(status, answer.decode())
        return msgspec.json.decode(answer, type=kind)

    def close(self) -> None:
        """There is no socket."""


async def _node(control: Control, ask: Ask) -> str:
    actor = await nodes.node_of_token(control, ask.token)
    if actor is None:
        raise Denial("invalid", "unknown_token", "this token is not known")
    return actor.actor_id


async def _register(control: Control, ask: Ask) -> bytes:
    assert ask.token == OPERATOR
    registration = msgspec.json.decode(ask.body, type=Registration)
    return msgspec.json.encode(await nodes.register(control, registration))


async def _introduce(control: Control, ask: Ask) -> bytes:
    node_id = await _node(control, ask)
    said = msgspec.json.decode(ask.body, type=Registration)
    assert said.node_id == node_id
    await idempotent(lambda: nodes.introduce(control, said))
    return ask.body


async def _snapshot(control: Control, ask: Ask) -> bytes:
    return msgspec.json.encode(await nodes.snapshot(control, await _node(control, ask)))


async def _heartbeat(control: Control, ask: Ask) -> bytes:
    node_id = await _node(control, ask)
    return msgspec.json.encode(await nodes.heartbeat(control, node_id, msgspec.json.decode(ask.body, type=Heartbeat)))


async def _grant(control: Control, ask: Ask) -> bytes:
    terms = await nodes.terms_of(control, await _node(control, ask))
    request = msgspec.json.decode(ask.body, type=GrantRequest)
    answer = idempotent(lambda: leases.grant(control.store, control.tools, terms, request))
    return msgspec.json.encode(await recovery.granting(control, answer))


async def _ship(control: Control, ask: Ask) -> bytes:
    terms = await nodes.terms_of(control, await _node(control, ask))
    first_seq, chain = ask.extra
    store, tools = control.store, control.tools
    last_seq = await idempotent(lambda: batches.apply_batch(store, tools, terms, ask.body, first_seq, chain))
    return msgspec.json.encode(Shipped(last_seq))


async def _lost(control: Control, ask: Ask) -> bytes:
    node_id = await _node(control, ask)
    said = msgspec.json.decode(ask.body, type=Lost)
    await idempotent(lambda: retirement.report_lost(control, node_id, said.why))
    return ask.body


ROUTES: dict[str, Callable[[Control, Ask], Awaitable[bytes]]] = {
    "register": _register,
    "introduce": _introduce,
    "snapshot": _snapshot,
    "heartbeat": _heartbeat,
    "grant": _grant,
    "ship": _ship,
    "lost": _lost,
}
