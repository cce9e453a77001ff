"""A whole gateway in memory: a node with its journal on disk, a control plane and a provider that the test plays itself."""

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import msgspec

from keeptrusts.core.ledger.journal_format import read_groups
from keeptrusts.core.ledger.records import Event, Record, decode_record
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.pricing.price import Price
from keeptrusts.core.routing.target import Target
from keeptrusts.core.rulebook.rulebook import ApiLink, ConsumerGroup, Rulebook
from keeptrusts.gateway.admin import Admin
from keeptrusts.gateway.admin_access import Access
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.doors import DOORS
from keeptrusts.gateway.endpoints import application
from keeptrusts.gateway.journal import segment_start, segments
from keeptrusts.gateway.life_of_a_call import serve
from keeptrusts.gateway.link import Link
from keeptrusts.gateway.node import Node
from tests.gateway.fake_control import BIG, MINI, FakeControl, FakeLink
from tests.gateway.hand_loop import HandLoop
from tests.gateway.wires import Exchangeboard, Wire

TEAM = "team_marketing"
KEY = "kt_cg_the-clients-own-secret"
SECRET = "sk-the-providers-secret"
GROUP = ConsumerGroup("marketing", api_key=KEY, wallet_team_id=TEAM, limits=LimitSet(concurrent_requests=50))
MAIN = Target("openai-main", "openai", base_url="http://provider/v1", secret_env="PROVIDER_KEY")
RULES = Rulebook(
    targets=(MAIN,),
    groups=(GROUP,),
    wallet_enforcement=True,
    api=ApiLink("http://api", "TOKEN"),
    min_slice_nanos=10_000,
)
USAGE = {"prompt_tokens": 14, "completion_tokens": 25, "total_tokens": 39}
COST = 14 * 150 + 25 * 600
"""Nano-USD that USAGE costs on gpt-4o-mini: 17,100."""


def ask(**fields: Any) -> bytes:
    """A chat request's body."""
    messages = [{"role": "user", "content": "What is a ledger?"}]
    return json.dumps({"model": "gpt-4o-mini", "messages": messages, "max_tokens": 25, **fields}).encode()


def reply(usage: Any = USAGE, **fields: Any) -> bytes:
    """The provider's whole answer, head and body."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "A book."}, "finish_reason": "stop"}
    body = {"id": "chatcmpl-1", "model": "gpt-4o-mini-2024-07-18", "choices": [choice], "usage": usage, **fields}
    return answer(200, json.dumps(body).encode())


def answer(status: int, body: bytes, **headers: str) -> bytes:
    """An HTTP answer."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
SAID = b'data: {"choices":[{"index":0,"delta":{"content":"A book."}}]}\n\n'
BILL = b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n"
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"


class Told:
    """One call as its client sees it; a header without a value is left out. ``gone`` makes every further send fail, as some servers do."""

    def __init__(
        self,
        house: "House",
        body: bytes,
        headers: dict[str, str],
        path: str = "/v1/chat/completions",
        method: str = "POST",
    ) -> None:
        self._house = house
        self._body = body
        self.started: dict[str, Any] = {}
        self.body = b""
        self.ended = False
        self.gone = False
        self.recorded_at_end: bool | None = None
        names = {"x-consumer-group": KEY, "content-length": str(len(body)), **headers}
        self._scope = {"headers": [(name.encode(), value.encode()) for name, value in names.items() if value]}
        self._scope |= {"client": (house.peer, 4711)}
        self._scope |= {"http_version": "1.1", "method": method, "path": path}
        self.request_id = headers.get("x-request-id", "")
        if path in DOORS:
            client = Client.of_asgi(self._scope, self._receive, self._send)
            self.task = house.loop.do(serve(house.node, client, DOORS[path]))
        else:
            app = application(house.node, Admin(house.node, Access(None, "TOKEN")))
            self.task = house.loop.do(app(self._scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: dict[str, Any]) -> None:
        if self.gone:
            raise OSError("the client is gone")
        if message["type"] == "http.response.start":
            assert not self.started, "two answers to one call"
            self.started = message
        else:
            self.body += message["body"]
            if not message.get("more_body"):
                self.ended = True
                self.recorded_at_end = any(isinstance(r, Event) for r in self._house.journaled())

    @property
    def status(self) -> int:
        assert self.ended, "no answer yet"
        return int(self.started["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.started["headers"]}

    @property
    def error(self) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self.body)["error"])


class House:
    """The node and all that is around it. ``peer`` is where calls come from."""

    peer = "127.0.0.1"

    def __init__(
        self,
        loop: HandLoop,
        data_dir: Path,
        rules: Rulebook = RULES,
        budget: int = 10**9,
        prices: tuple[Price, ...] = (MINI, BIG),
    ) -> None:
        self.loop = loop
        self.control = FakeControl(prices)
        self.control.allocate(TEAM, budget)
        self.board = Exchangeboard(loop)
        self.environment = {"PROVIDER_KEY": SECRET, "TOKEN": "kt_ak_operator"}
        self.links: list[FakeLink] = []
        self.node = loop.done(self._made(rules, data_dir))
        loop.done(self.node.start())

    async def _made(self, rules: Rulebook, data_dir: Path) -> Node:
        return Node(rules, self.environment, data_dir, self._link)

    def _link(self) -> Link:
        self.links.append(FakeLink(self.control))
        return cast(Link, self.links[-1])

    def call(self, body: bytes | None = None, **headers: str) -> Told:
        """A call comes in and goes as far as it gets."""
        return Told(self, ask() if body is None else body, {n.replace("_", "-"): v for n, v in headers.items()})

    def send(self, path: str, body: bytes, method: str = "POST", **headers: str) -> Told:
        """A request to any path. A header that is empty is not sent."""
        return Told(self, body, {n.replace("_", "-"): v for n, v in headers.items()}, path, method)

    @property
    def wire(self) -> Wire:
        """The latest connection to the provider."""
        return self.board.wires[-1]

    def journaled(self) -> list[Record]:
        """Every record on disk."""
        records: list[Record] = []
        for path in segments(self.node.journal.directory):
            records += read_segment(path)
        return records

    def rows(self) -> list[Event]:
        """The ledger rows on disk."""
        return [record for record in self.journaled() if isinstance(record, Event)]

    def settled(self) -> None:
        """Nothing is held and nobody runs; what the node has settled is what its rows say, and the store agrees."""
        self.loop.turn()
        account = self.node.treasury.purse.account(TEAM)
        assert account.in_flight == 0
        assert not account.waiters
        assert self.node.treasury.purse.held_nanos() == {}
        for lease in self.node.treasury.purse.open_leases():
            assert lease.held == 0
        callers = self.node._edition.callers if self.node._edition is not None else None
        assert callers is not None
        assert all(meter.running == 0 for meter in self.node.meters)
        if self.node.journal.failure is None:
            self.loop.advance(0.2)
            assert self.control.spent(TEAM) == sum(row.cost_nanos or 0 for row in self.rows())

    def stop(self) -> None:
        """The node stops in good order; every lease is back."""
        task = self.loop.create_task(self.node.stop())
        self.loop.turn()
        self.loop.advance(5.0)
        task.result()
        pending = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
        for left in pending:
            left.cancel()
        self.loop.turn()


def read_segment(path: Path) -> list[Record]:
    """The records of one segment."""
    groups = read_groups(path.read_bytes(), *segment_start(path))
    return [decode_record(record) for group in groups for record in group.records]


def with_rules(**changes: Any) -> Rulebook:
    """RULES, but."""
    return msgspec.structs.replace(RULES, **changes)
