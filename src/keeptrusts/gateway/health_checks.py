"""Asks targets how they are, by questions that cost no tokens, so that calls don't have to find out."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from keeptrusts.core.routing.target import HealthCheck, Target
from keeptrusts.gateway.exchange import UpstreamFailed
from keeptrusts.gateway.sign_in import SignIn, base_url_of, path_of, sign_in_of
from keeptrusts.gateway.target_state import TargetState
from keeptrusts.gateway.upstream import Origin

log = logging.getLogger("keeptrusts::gateway")

LISTS_OF_MODELS: Mapping[str, str] = {"anthropic": "/v1/models", "bedrock": "/"}
"""Where a provider lists its models, below its base URL; elsewhere it is ``/models``. Bedrock's runtime has no such list: any
answer of its will do."""

KEYLESS = frozenset({"bedrock"})
"""Providers whose question carries no key, so that a refused one says nothing."""

SICK_STATUSES = frozenset({401, 403, 407, 408})


class Checked:
    """One target under watch."""

    def __init__(self, target: Target, check: HealthCheck, environment: Mapping[str, str], state: TargetState) -> None:
        self.target = target
        self.check = check
        self.state = state
        self.due_at = 0.0
        self._row = 0
        keyless = target.provider in KEYLESS
        sign_in = SignIn(()) if keyless else sign_in_of(target, environment)
        self._headers = dict(line.split(": ", 1) for line in sign_in.fixed)
        self._path = check.path or LISTS_OF_MODELS.get(target.provider, "/models")
        self._answers_tell = frozenset[int]() if keyless else SICK_STATUSES
        base_url, written = path_of(target, base_url_of(target, environment))
        if written is not None and check.path is None:
            self._path = written(self._path)
        self._origin = Origin(
            base_url,
            connect_timeout_s=check.timeout_s,
            first_byte_timeout_s=check.timeout_s,
            idle_timeout_s=check.timeout_s,
        )

    async def ask(self) -> None:
        """Asks once. What the answer says of the target counts when it has said so often enough in a row."""
        try:
            async with asyncio.timeout(self.check.timeout_s):
                reply = await self._origin.call("GET", self._path, self._headers, b"")
        except TimeoutError:
            self._learn(f"no answer within {self.check.timeout_s:g} s")
        except UpstreamFailed as failure:
            self._learn(str(failure))
        else:
            sick = reply.status >= 500 or reply.status in self._answers_tell
            self._learn(f"it answered {reply.status}" if sick else None)

    def _learn(self, trouble: str | None) -> None:
        """``trouble`` None: the target is well. What agrees with what is known already ends a row of other answers."""
        state = self.state
        if state.healthy == (trouble is None):
            self._row = 0
            return
        self._row += 1
        if trouble is not None and self._row >= self.check.unhealthy_threshold:
            state.healthy, self._row = False, 0
            log.warning(
                "Target %s is unhealthy, and gets no calls while others can take them: %s", self.target.id, trouble
            )
        elif trouble is None and self._row >= self.check.healthy_threshold:
            state.healthy, self._row = True, 0
            log.info("Target %s is healthy again.", self.target.id)

    def close(self) -> None:
        """Asks no more."""
        self._origin.close()


class HealthChecks:
    """All targets that are under watch, and the one task that asks them, there only while there are any."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._checked: dict[str, Checked] = {}
        self._task: asyncio.Task[None] | None = None

    def follow(self, targets: Iterable[tuple[Target, TargetState]]) -> None:
        """These are the targets from now on. One that is not watched any more counts as healthy."""
        before, self._checked = self._checked, {}
        for target, state in targets:
            check, known = target.health_check, before.get(target.id)
            if check is None:
                state.healthy = True
            elif known is not None and known.check == check and known.state is state:
                self._checked[target.id] = before.pop(target.id)
            else:
                self._checked[target.id] = Checked(target, check, self._environment, state)
        for gone in before.values():
            gone.close()
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.get_running_loop().create_task(self._watch()) if self._checked else None

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            due = [checked for checked in self._checked.values() if checked.due_at <= now]
            for checked in due:
                checked.due_at = now + checked.check.interval_s
            await asyncio.gather(*(self._ask(checked) for checked in due))
            following = min(checked.due_at for checked in self._checked.values())
            await asyncio.sleep(max(0.0, following - loop.time()))

    @staticmethod
    async def _ask(checked: Checked) -> None:
        try:
            await checked.ask()
        except Exception as error:
            # A question that can't be asked must not end those to others.
            log.error("Target %s can't be checked: %s", checked.target.id, type(error).__name__)

    def close(self) -> None:
        """Asks nobody any more."""
        if self._task is not None:
            self._task.cancel()
        for checked in self._checked.values():
            checked.close()
