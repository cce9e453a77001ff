"""The providers, and their own count of what they bill: kept outside of everything that can crash."""

import asyncio
import json
import random
from collections import Counter
from typing import Any

from msgspec import Struct

from tests.simulation.loop import HERE, Process, VirtualLoop

FIRST_BYTE_S = 3.0


class Served(Struct):
    """One request that a provider got, in full, and what it bills for it."""

    request_id: str
    model: str
    input_tokens: int
    output_tokens: int
    at_s: float
    manner: str
    limit: int

    @property
    def billed(self) -> bool:
        return self.input_tokens + self.output_tokens > 0


class Wire(asyncio.Transport):
    """One connection from a gateway."""

    def __init__(self, providers: "Providers", protocol: Any, process: Process) -> None:
        super().__init__()
        self._providers = providers
        self._protocol = protocol
        self._process = process
        self._received = b""
        self._closing = False
        self._last_at = 0.0

    def write(self, data: Any) -> None:
        assert not self._closing
        self._providers.process.later(self._in_order_s(), self._arrives, bytes(data))
        self._providers.on_sent()

    def _in_order_s(self) -> float:
        """How long bytes take, never less than those sent before them."""
        now = self._providers.loop.time()
        self._last_at = max(self._last_at + 1e-6, now + self._providers.delay_s())
        return self._last_at - now

    def is_closing(self) -> bool:
        return self._closing

    def abort(self) -> None:
        self.lose(None)

    def close(self) -> None:
        self.lose(None)

    def pause_reading(self) -> None:
        """The answers are short."""

    def resume_reading(self) -> None:
        """See above."""

    def lose(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            self._process.later(0.0, self._protocol.connection_lost, error)

    def says(self, data: bytes) -> None:
        """Bytes on their way to the gateway."""
        self._process.later(self._in_order_s(), self._hears, data)

    def _hears(self, data: bytes) -> None:
        if not self._closing:
            self._protocol.data_received(data)

    def _arrives(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) >= int(headers[b"content-length"]):
            self._received = b""
            self._providers.serve(self, headers[b"x-request-id"].decode(), body)


class Manners(Struct):
    """How providers behave, as weights; ``overbills``: some bill more than the request allows."""

    weights: dict[str, int]
    overbills: bool = False


class Providers:
    """Everybody who serves models. ``served`` is the truth."""

    def __init__(self, loop: VirtualLoop, seed: int, manners: Manners) -> None:
        self.loop = loop
        self.process = Process(loop, "providers")
        self.dice = random.Random(f"providers {seed}")
        self.manners = manners
        self.served: list[Served] = []
        self.tried: Counter[str] = Counter()
        self.on_bill: Any = lambda served: None
        self.on_sent: Any = lambda: None
        self.refusing = 0.0
        loop.create_connection = self._connect  # type: ignore[assignment, method-assign]

    def delay_s(self) -> float:
        return self.dice.random() * 0.004

    async def _connect(self, factory: Any, host: str, port: int, **_: Any) -> tuple[Wire, Any]:
        process = HERE.get()
        await asyncio.sleep(self.delay_s())
        if self.dice.random() < self.refusing:
            raise ConnectionRefusedError(111, "refused")
        protocol = factory()
        wire = Wire(self, protocol, process)
        protocol.connection_made(wire)
        return wire, protocol

    def serve(self, wire: Wire, request_id: str, body: bytes) -> None:
        """A request is here in full: what is billed is decided now, whatever the gateway ever hears of it."""
        asked = json.loads(body)
        limit = asked.get("max_tokens") or 64
        weights = self.manners.weights
        manner = self.dice.choices(list(weights), list(weights.values()))[0]
        output = self.dice.randint(0, limit) if self.dice.random() < 0.8 else limit
        prompt = self.dice.randint(1, max(1, len(body) // 4))
        if manner in ("error", "limited", "rejected", "refuses"):
            prompt = output = 0
        if manner == "silent_usage":
            # What it bills is what can be seen.
            prompt, output = min(prompt, 8), min(output, 3)
        if manner == "overbills":
            output = limit * 40
        served = Served(request_id, asked["model"], prompt, output, self.loop.time(), manner, limit)
        self.served.append(served)
        self.tried[manner] += 1
        self.on_bill(served)
        usage = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
        if asked.get("stream"):
            self._stream(wire, served, usage)
        else:
            self._whole(wire, served, usage)

    def _whole(self, wire: Wire, served: Served, usage: dict[str, int]) -> None:
        manner = served.manner
        text = " ".join(["word"] * 3)
        message = {"role": "assistant", "content": text}
        reply: dict[str, Any] = {"id": "c", "model": served.model, "choices": [{"index": 0, "message": message}]}
        if manner != "silent_usage":
            reply["usage"] = usage
        answer = _http(200, json.dumps(reply).encode())
        later = self.process.later
        match manner:
            case "error":
                later(0.0, wire.says, _http(500, b'{"error":{"message":"overloaded"}}'))
            case "limited":
                later(0.0, wire.says, _http(429, b'{"error":{"message":"slow down"}}'))
            case "rejected":
                later(0.0, wire.says, _http(400, b'{"error":{"message":"no"}}'))
            case "resets" | "refuses":
                later(0.01, wire.lose, ConnectionResetError())
            case "breaks":
                later(0.0, wire.says, answer[: len(answer) // 2])
                later(0.02, wire.lose, ConnectionResetError())
            case "hangs":
                pass
            case "slow":
                later(self.dice.random() * 2.5, wire.says, answer)
            case _:
                later(self.dice.random() * 0.2, wire.says, answer)

    def _stream(self, wire: Wire, served: Served, usage: dict[str, int]) -> None:
        manner = served.manner
        later = self.process.later
        if manner in ("error", "limited", "rejected", "refuses", "resets", "hangs"):
            self._whole(wire, served, usage)
            return
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        delta = {"choices": [{"index": 0, "delta": {"content": "word word"}}]}
        said = _chunk(b"data: " + json.dumps(delta).encode() + b"\n\n")
        bill = _chunk(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
        done = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        wire.says(head + said)
        pause = self.dice.random() * 0.3
        if manner == "breaks":
            later(pause, wire.lose, ConnectionResetError())
        elif manner == "silent_usage":
            later(pause, wire.says, done)
        else:
            later(pause, wire.says, said + bill + done)


def _http(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
