"""Gateways' places on machines, and the clients that call them: what each was answered."""

import asyncio
from collections.abc import Callable
from typing import Any

from keeptrusts.gateway.node import Node
from tests.simulation.loop import Process
from tests.simulation.machine import Host


class Slot:
    """A place for a gateway process on a machine; a supervisor fills it again."""

    def __init__(self, host: Host, number: int) -> None:
        self.host = host
        self.name = f"{host.name}.{number}"
        self.process: Process | None = None
        self.node: Node | None = None
        self.wanted = True
        self.draining = False


class Told:
    """One call as its client sees it."""

    def __init__(self, number: int, team: str, model: str, stream: bool, slot: Slot) -> None:
        self.request_id = f"call-{number}"
        self.team = team
        self.model = model
        self.stream = stream
        self.slot = slot
        self.node_id = slot.node.node_id if slot.node is not None else ""
        self.process = slot.process
        self.status = 0
        self.ended = False
        self.over = False
        self.leaves = False
        self.on_end: Callable[[], None] = lambda: None
        self.task: asyncio.Task[None] | None = None
        self.body = b""

    @property
    def settled(self) -> bool:
        """Whether nothing of the call goes on any more."""
        return self.over or self.process is None or not self.process.alive

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        if self.leaves:
            raise OSError("the client is gone")
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif not message.get("more_body"):
            self.ended = True
            self.on_end()
