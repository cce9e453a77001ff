"""Answers that were paid for once: exact repeats of a request get them again for nothing, never across their scope."""

from collections import OrderedDict
from hashlib import blake2b

from msgspec import Struct

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.rulebook.rulebook import CacheRules
from keeptrusts.gateway.caller import Caller

MAX_ENTRY_BYTES = 1024 * 1024
ENTRY_OVERHEAD_BYTES = 512
"""What an entry takes beside its body, about."""

KEY_BYTES = 20


class Kept(Struct, frozen=True, array_like=True):
    """A whole answer, and what it cost when it was bought, by whom it was given and when (Unix seconds)."""

    body: bytes
    cost_nanos: int
    provider: str
    model: str
    at_s: int

    def age_s(self, now_s: int) -> int:
        """How old it is."""
        return max(0, now_s - self.at_s)


class AnswerCache:
    """Least recently used answers go first; bounded in entries and bytes. Times are on a monotonic clock."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, tuple[Kept, float]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        """How many answers are kept."""
        return len(self._entries)

    def get(self, key: bytes, now: float) -> Kept | None:
        """The answer under this key, if it has not expired."""
        found = self._entries.get(key)
        if found is None:
            return None
        kept, expires_at = found
        if expires_at <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return kept

    def put(self, key: bytes, kept: Kept, expires_at: float, max_entries: int, max_bytes: int) -> None:
        """Keeps an answer, and lets the oldest go that are too many; one that is too large by itself is not kept."""
        if key in self._entries:
            self._drop(key)
        if len(kept.body) + ENTRY_OVERHEAD_BYTES > max_bytes:
            return
        self._entries[key] = kept, expires_at
        self.bytes += len(kept.body) + ENTRY_OVERHEAD_BYTES
        while self._entries and (len(self._entries) > max_entries or self.bytes > max_bytes):
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        kept, _ = self._entries.pop(key)
        self.bytes -= len(kept.body) + ENTRY_OVERHEAD_BYTES


def scope_of(rules: CacheRules, caller: Caller) -> str:
    """Within which a caller's answers are shared."""
    match rules.scope:
        case "organization":
            return "organization"
        case "team" if caller.attribution.team:
            return f"team:{caller.attribution.team}"
        case _:
            # A caller of no team shares with nobody.
            return f"key:{caller.key_id}:{caller.group}"


def cache_key(rules: CacheRules, caller: Caller, request: TextRequest, beside: bytes) -> bytes | None:
    """Where the answer to this request is kept, or None when it must not be. The scope is a part of the key; so is what
    is sent ``beside`` the request, and where to.

    A request that says a key twice inside has no key: its provider may have read another request than we.
    """
    if rules.deterministic_only and not request.is_deterministic():
        return None
    if request.is_passing() or request.says_a_key_twice():
        return None
    scope = scope_of(rules, caller).encode()
    asked = blake2b(b"%d:%b%d:%b" % (len(scope), scope, len(beside), beside), digest_size=KEY_BYTES)
    asked.update(request.cacheable_form())
    return asked.digest()
