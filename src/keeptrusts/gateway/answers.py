"""All that this gateway may answer with again: its own cache, the one it shares, and calls under way or repeated."""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from keeptrusts.core.rulebook.rulebook import CacheRules
from keeptrusts.gateway.cache import AnswerCache, Kept
from keeptrusts.gateway.caller import Callers
from keeptrusts.gateway.flights import Flight
from keeptrusts.gateway.near_answers import NearAnswers
from keeptrusts.gateway.repeats import Repeats

if TYPE_CHECKING:
    from keeptrusts.gateway.far_cache import FarCache

log = logging.getLogger("keeptrusts::gateway")

SEAL_PURPOSE = b"keeptrusts answers"


class CacheUnusable(Exception):
    """The cache can't be had as the rules want it, and why: one line for a person."""


class Answers:
    """Raises CacheUnusable where these rules can't be kept to. When the rules change later, it goes by the new ones as soon
    as ``follow`` has seen them."""

    def __init__(self, rules: CacheRules, environment: Mapping[str, str]) -> None:
        self.cache = AnswerCache()
        self.repeats = Repeats()
        self.flights: dict[bytes, Flight] = {}
        self.far: FarCache | None = None
        self.near: NearAnswers | None = None
        self._environment = environment
        self._rules = rules
        self._callers: Callers | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._go_by(rules)

    def follow(self, rules: CacheRules, callers: Callers) -> None:
        """These rules are in force, and these callers' secret."""
        if rules is not self._rules:
            self._rules = rules
            try:
                self._go_by(rules)
            except CacheUnusable as error:
                log.error("The cache goes on in memory alone: %s", error)
        if self.far is not None and (callers is not self._callers or self.far.seal is None):
            from keeptrusts.gateway.far_cache import Seal

            self._callers = callers
            self.far.seal = Seal(callers.secret_for(SEAL_PURPOSE))

    def check(self, rules: CacheRules) -> None:
        """Raises CacheUnusable where these rules could not be kept to."""
        url = _url_of(rules, self._environment)
        if url is not None:
            _far_cache(url, rules)
        if rules.enabled and rules.threshold is not None and self.near is None:
            _near_answers()

    def _go_by(self, rules: CacheRules) -> None:
        if not rules.enabled or rules.threshold is None:
            self.near = None
        elif self.near is None:
            self.near = _near_answers()
        url = _url_of(rules, self._environment)
        if self.far is not None and self.far.url != url:
            task = asyncio.get_running_loop().create_task(self.far.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self.far = None
        if url is not None and self.far is None:
            self.far = _far_cache(url, rules)

    def keep(self, key: bytes, kept: Kept, rules: CacheRules, left_s: float) -> None:
        """Keeps an answer in memory for so long."""
        expires_at = asyncio.get_running_loop().time() + left_s
        self.cache.put(key, kept, expires_at, rules.max_entries, rules.max_bytes)

    async def close(self) -> None:
        """Ends what is under way with the shared store."""
        if self.far is not None:
            await self.far.close()
        if self._closing:
            await asyncio.wait(self._closing)


def _far_cache(url: str, rules: CacheRules) -> "FarCache":
    # Who keeps answers in memory alone does not load a client of Redis.
    from keeptrusts.gateway.far_cache import FarCache

    try:
        return FarCache(url, asyncio.get_running_loop().time)
    except ValueError:
        # What is wrong in it is not told: it may hold a password.
        raise CacheUnusable(
            f"{rules.url_env or 'cache.url'} holds no address of a Redis or Valkey: "
            "for example redis://:PASSWORD@valkey.internal:6379/0, or rediss:// for TLS."
        ) from None


def _near_answers() -> NearAnswers:
    try:
        return NearAnswers()
    except ImportError:
        raise CacheUnusable(
            "`cache.mode: semantic` needs numpy, which is not installed: pip install '.[semantic]' in the checkout."
        ) from None


def _url_of(rules: CacheRules, environment: Mapping[str, str]) -> str | None:
    if not rules.enabled:
        return None
    if rules.url_env is None:
        return rules.url
    url = environment.get(rules.url_env)
    if not url:
        message = f"the environment lacks {rules.url_env}, which cache.url_env names: set it to the store's address."
        raise CacheUnusable(message)
    return url
