"""New rules for a gateway that runs: read, checked as a whole, and in force at once; or nothing changes and it says why.

A reload is asked for by a signal, by the admin listener, or by the files themselves, which are looked at once a second.
"""

import asyncio
import logging
import time
from collections.abc import Mapping

from msgspec import Struct

from keeptrusts.core.problem import Problem
from keeptrusts.core.rulebook.changing import NeedsRestart
from keeptrusts.core.rulebook.compare import changes
from keeptrusts.core.rulebook.from_yaml import compile_layers
from keeptrusts.core.rulebook.missing_secrets import missing_secrets
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.answers import CacheUnusable
from keeptrusts.gateway.config_status import ConfigStatus, ReloadFailed
from keeptrusts.gateway.last_good import LastGood
from keeptrusts.gateway.managed_policy import config_version
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.observed import fingerprint
from keeptrusts.gateway.policy_files import PolicyAway, PolicyTexts, PolicyUnreadable, Stamp, StartPolicy
from keeptrusts.gateway.taking_rules import take_rules

log = logging.getLogger("keeptrusts::gateway")

LOOK_S = 1.0
"""How often the files are looked at. A change is taken when the next look finds it unchanged: it is written to its end then."""

READS_MAX = 5
"""How often a file that changes while it is read is read again."""

PROBLEMS_TOLD = 20
CHANGED = "the file changed"


class Found(Struct, frozen=True):
    """Texts and what they mean. ``rulebook`` None: ``problems`` says why."""

    texts: PolicyTexts
    rulebook: Rulebook | None
    problems: tuple[Problem, ...]


class Reloader:
    """Keeps a node's rules as its files say. ``status`` is for whoever wants to know."""

    def __init__(
        self,
        node: Node,
        policy: StartPolicy,
        environment: Mapping[str, str],
        last_good: LastGood | None,
    ) -> None:
        """``policy`` is what the node was made with; ``last_good`` None: another worker keeps what worked."""
        self._node = node
        self._files = policy.files
        self._stamp = policy.stamp
        self._adjusted = policy.adjusted
        self._environment = environment
        self._last_good = last_good
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[bool]] = set()
        names = policy.files.names
        self._active = policy.texts
        self.status = ConfigStatus(names, fingerprint(node.rulebook), time.time(), policy.error is not None)
        if policy.error is not None:
            self.status.last_error, self.status.last_error_at_s = policy.error, self.status.loaded_at_s
        elif last_good is not None:
            last_good.keep(policy.texts)

    def ask(self, why: str) -> None:
        """Reloads in the background; what comes of it is in the log and in ``status``."""
        if len(self._tasks) < 2:
            # One that waits reads the files after this moment: a third would find nothing new.
            task = asyncio.get_running_loop().create_task(self._asked(why))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _asked(self, why: str) -> bool:
        """False: to be tried again in a moment."""
        try:
            await self.reload(why)
        except ReloadFailed as failed:
            return not failed.passing  # logged already
        return True

    async def reload(self, why: str) -> bool:
        """Takes what the files say now; False when that is in force already. Raises ReloadFailed."""
        async with self._one_at_a_time:
            try:
                return await self._take(await asyncio.to_thread(self._find), why)
            except ReloadFailed as failed:
                self._note_failure(failed, why)
                raise
            except Exception as error:
                # A mistake of ours must not end the watch over the files.
                ours = ReloadFailed(f"the gateway failed to take it: {type(error).__name__}: {error}")
                self._note_failure(ours, why)
                raise ours from error

    async def watch(self) -> None:
        """Looks at the files until it is cancelled, and takes what has changed once it is whole."""
        taken: Stamp | None = self._stamp
        seen = self._stamp
        while True:
            await asyncio.sleep(LOOK_S)
            before, seen = seen, await asyncio.to_thread(self._files.stamp)
            if seen != taken and seen == before:
                taken = seen if await self._asked(CHANGED) else None

    def _find(self) -> Found:
        """Reads and compiles, beside the loop."""
        texts = self._whole_texts()
        if texts == self._active:
            return Found(texts, None, ())
        compiled = compile_layers(texts)
        problems = list(compiled.problems)
        if compiled.rulebook is not None:
            problems += missing_secrets(compiled.rulebook, self._environment, compiled.places)
        return Found(texts, compiled.rulebook, tuple(problems))

    def _whole_texts(self) -> PolicyTexts:
        for _ in range(READS_MAX):
            before = self._files.stamp()
            try:
                texts = self._files.read()
            except PolicyUnreadable as trouble:
                raise ReloadFailed(str(trouble), passing=isinstance(trouble, PolicyAway)) from None
            if self._files.stamp() == before:
                return texts
        raise ReloadFailed(f"{self._files} is being written without end")

    async def _take(self, found: Found, why: str) -> bool:
        status = self.status
        if found.texts == self._active:
            if status.last_error is not None:
                log.info("The files say again what is in force: %s", status.fingerprint)
            elif why != CHANGED:
                log.info("The files say nothing new (%s): %s stays", why, status.fingerprint)
            status.last_error, status.last_error_at_s, status.problems = None, None, ()
            status.from_last_good = False
            return False
        if found.rulebook is None:
            errors = [problem for problem in found.problems if problem.severity == "error"]
            raise ReloadFailed(f"{self._files} has {len(errors)} error{'s' * (len(errors) != 1)}", found.problems)
        before = self._node.rulebook
        try:
            waiting = await take_rules(self._node, self._adjusted(found.rulebook), config_version(found.texts))
        except (NeedsRestart, CacheUnusable) as no:
            raise ReloadFailed(str(no)) from None
        self._active = found.texts
        self.status = ConfigStatus(
            status.files,
            fingerprint(self._node.rulebook),
            time.time(),
            reloads=status.reloads + 1,
            failed_reloads=status.failed_reloads,
            at_next_start=waiting,
        )
        self._tell_warnings(found.problems)
        log.info("Configuration %s is in force (%s)%s", self.status.fingerprint, why, _told_waiting(waiting))
        await asyncio.to_thread(self._tell_changes, before, self._node.rulebook)
        if self._last_good is not None:
            await asyncio.to_thread(self._last_good.keep, found.texts)
        return True

    def _note_failure(self, failed: ReloadFailed, why: str) -> None:
        status = self.status
        status.failed_reloads += 1
        is_told = status.last_error == str(failed) and why == CHANGED
        status.last_error, status.last_error_at_s, status.problems = str(failed), time.time(), failed.problems
        if is_told:
            return
        log.error("The new configuration (%s) is not taken, and %s stays: %s", why, status.fingerprint, failed)
        self._tell_warnings(failed.problems)

    def _tell_changes(self, before: Rulebook, after: Rulebook) -> None:
        found = changes(before, after)
        for change in found[:PROBLEMS_TOLD]:
            log.info("  %s", "".join(char if char.isprintable() else "?" for char in change.text))
        if len(found) > PROBLEMS_TOLD:
            log.info("  ... and %d more changes", len(found) - PROBLEMS_TOLD)

    def _tell_warnings(self, problems: tuple[Problem, ...]) -> None:
        for problem in problems[:PROBLEMS_TOLD]:
            log.log(logging.ERROR if problem.severity == "error" else logging.WARNING, "%s", problem_text(problem))
        if len(problems) > PROBLEMS_TOLD:
            log.warning("... and %d more: `kt policy lint` tells all", len(problems) - PROBLEMS_TOLD)


def problem_text(problem: Problem) -> str:
    """``file:line:column: path: message (suggestion)``; a part that is unknown is left out."""
    place = ":".join(str(part) for part in (problem.file, problem.line, problem.column) if part is not None)
    parts = [part for part in (place, problem.path, problem.message) if part]
    text = ": ".join(parts) + (f" ({problem.suggestion})" if problem.suggestion else "")
    return "".join(character if character.isprintable() else "?" for character in text)


def _told_waiting(waiting: tuple[str, ...]) -> str:
    return f"; at the next start: {', '.join(waiting)}" if waiting else ""
