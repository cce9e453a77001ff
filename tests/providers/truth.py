"""The provider's own record of what it served: an append-only file, synced before the answer ends, and its reader."""

import asyncio
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

GPT_4O_MINI_NANOS = (150, 600)
"""Nano-USD per input and output token of the price that the tests seed for gpt-4o-mini."""
GPT_4O_NANOS = (2_500, 10_000)
NANOS_PER_TOKEN = {"gpt-4o-mini": GPT_4O_MINI_NANOS, "gpt-4o": GPT_4O_NANOS}


@dataclass(frozen=True, slots=True)
class Served:
    """One answer that the provider bills. ``bearer`` and ``headers`` are what reached it, to see what a gateway passes on."""

    request_id: str
    model: str
    stream: bool
    prompt_tokens: int
    completion_tokens: int
    bearer: str = ""
    headers: tuple[str, ...] = ()

    @property
    def cost_nanos(self) -> int:
        """The bill by list price, worked out apart from the product's own arithmetic."""
        input_nanos, output_nanos = NANOS_PER_TOKEN[self.model]
        return self.prompt_tokens * input_nanos + self.completion_tokens * output_nanos


class TruthLog:
    """Appends lines; whoever wrote one waits until it is on disk. Lines that come together share one sync."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._syncing: asyncio.Task[None] | None = None

    async def write(self, served: Any) -> None:
        """Returns when the entry, a dataclass, would survive the machine's death; it is written even if its caller is
        cancelled."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._waiting.append((json.dumps(asdict(served)).encode() + b"\n", done))
        if self._syncing is None or self._syncing.done():
            self._syncing = loop.create_task(self._sync_all())
        await done

    async def _sync_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.get_running_loop().run_in_executor(None, self._sync, b"".join(line for line, _ in batch))
            for _, waiter in batch:
                if not waiter.done():
                    waiter.set_result(None)

    def _sync(self, lines: bytes) -> None:
        os.write(self._file, lines)
        os.fsync(self._file)


class TruthTail:
    """Reads a growing log once only: what is new each time, kept by the team that a request id begins with."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._by_team: dict[str, list[Served]] = {}

    def of(self, team: str) -> list[Served]:
        """Every entry so far whose request id is ``team``, a dot, and more."""
        self._read_on()
        return list(self._by_team.get(team, ()))

    def _read_on(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(self._offset)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            served = _served(json.loads(line))
            self._by_team.setdefault(served.request_id.partition(".")[0], []).append(served)


def _served(entry: dict[str, Any]) -> Served:
    return Served(**{**entry, "headers": tuple(entry["headers"])})


def read_truth(path: Path) -> list[Served]:
    """Every entry so far, in the order in which the provider took the calls; a line still being written is left out."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [_served(entry) for entry in map(json.loads, lines)]
