"""Answers that were paid for once: exact repeats of a request get them again for nothing, never across their scope."""

from collections import OrderedDict
from hashlib import blake2b

from msgspec import Struct

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.rulebook.rulebook import CacheRules
from keeptrusts.gateway.caller import Caller

MAX_ENTRY_BYTES = 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024


class Cached(Struct, frozen=True):
    """A whole answer, and what it cost when it was bought."""

    body: bytes
    cost_nanos: int
    provider: str
    model: str
    expires_at: float


class AnswerCache:
    """Least recently used answers go first; bounded in entries and bytes. Times are on a monotonic clock."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, Cached] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """How many answers are kept."""
        return len(self._entries)

    def get(self, key: bytes, now: float) -> Cached | None:
        """The answer under this key, if it has not expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: Cached, max_entries: int) -> None:
        """Keeps an answer; one that is too large is not kept."""
        if len(entry.body) > MAX_ENTRY_BYTES:
            return
        if key in self._entries:
            self._drop(key)
        self._entries[key] = entry
        self._bytes += len(entry.body)
        while len(self._entries) > max_entries or self._bytes > MAX_TOTAL_BYTES:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        self._bytes -= len(self._entries.pop(key).body)


def cache_key(rules: CacheRules, caller: Caller, request: TextRequest) -> bytes | None:
    """Where the answer to this request is kept, or None when it must not be. The scope is a part of the key."""
    if rules.deterministic_only and not request.is_deterministic():
        return None
    match rules.scope:
        case "key":
            scope = f"key:{caller.scope_id}"
        case "team":
            # A caller of no team shares with nobody.
            scope = f"team:{caller.attribution.team}" if caller.attribution.team else f"key:{caller.scope_id}"
        case "organization":
            scope = "organization"
    return blake2b(scope.encode() + b"\0" + request.cacheable_form(), digest_size=20).digest()
