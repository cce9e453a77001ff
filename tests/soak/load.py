"""Callers that never stop asking, on a thread of their own; a broken connection is their daily bread."""

import asyncio
import random
import threading
from collections.abc import Callable, Sequence

from tests.journeys.crowd import ask_together, chat_bytes, parse_answer
from tests.journeys.processes import until
from tests.soak.site import Account, Site

PROMPTS = ("Be brief. [[out=5]]", "Think. [[out=20 first_ms=15]]", "Talk. [[out=25 gap_ms=2]]")
MAX_TOKENS = 30
ANSWER_S = 30.0


class Load:
    """``callers`` at all ports of ``site``, each call of a random kind, until the block ends or ``calls_max`` are named."""

    def __init__(
        self,
        site: Site,
        account: Account,
        callers: int = 16,
        calls_max: int = 100_000,
        prompts: Sequence[str] = PROMPTS,
        seed: int = 0,
        pause_s: float = 0.0,
        ports: Sequence[int] = (),
    ) -> None:
        self._site = site
        self._account = account
        self._callers = callers
        self._calls_max = calls_max
        self._prompts = prompts
        self._pause_s = pause_s
        self._ports = ports or site.ports
        self._draw = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No new calls; returns when those under way have ended."""
        self._stopping.set()
        self._thread.join(ANSWER_S * 2)
        assert not self._thread.is_alive(), "a caller hangs"

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def wait_served(self, count: int, deadline_s: float = 20.0, enough: Callable[[], bool] = lambda: False) -> None:
        """Waits until the provider has served so many of its calls, or something else is enough."""
        look = lambda: len(self._site.served_to(self._account)) >= count or enough()  # noqa: E731
        until(look, f"{count} calls served to {self._account.team}", deadline_s)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._callers):
                group.create_task(self._caller())

    async def _caller(self) -> None:
        while not self._stopping.is_set() and self._account.named < self._calls_max:
            try:
                async with asyncio.timeout(ANSWER_S):
                    status = await self._call()
            except (OSError, ValueError):
                status = 0
            if status != 200:
                await asyncio.sleep(0.02)  # nobody there, or no money: ask again soon, but not in a frenzy
            elif self._pause_s:
                await asyncio.sleep(self._pause_s)

    async def _call(self) -> int:
        account = self._account
        request_id = account.next_id()
        prompt, stream = self._draw.choice(self._prompts), self._draw.random() < 0.5
        request = call_bytes(account, request_id, prompt, stream=stream)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._draw.choice(self._ports))
        try:
            writer.write(request)
            answer = parse_answer(await reader.read(-1))
        finally:
            writer.close()
        whole = not (stream and answer.status == 200) or b"data: [DONE]" in answer.body
        if whole:
            account.heard(request_id, answer.status)
        return answer.status


def call_bytes(account: Account, request_id: str, prompt: str, model: str = "gpt-4o-mini", **more: object) -> bytes:
    """One chat request of this team under this name."""
    headers = {**account.key.headers, "x-request-id": request_id}
    return chat_bytes(model, prompt, headers, **{"max_tokens": MAX_TOKENS, **more})


def all_at_once(site: Site, account: Account, callers: int, prompts: Sequence[str], **more: object) -> None:
    """So many calls at the same moment, over all nodes; what was answered is noted in the account."""
    ids = [account.next_id() for _ in range(callers)]
    requests = [call_bytes(account, name, prompts[i % len(prompts)], **more) for i, name in enumerate(ids)]
    for name, answer in zip(ids, ask_together(site.ports, requests), strict=True):
        account.heard(name, answer.status)
