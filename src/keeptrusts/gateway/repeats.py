"""Calls that were made with an ``Idempotency-Key``: the same call again joins the one under way, or is told its answer.

Remembered for ten minutes in memory alone, and bounded; later, or after a restart, it is a new call.
"""

from collections import OrderedDict
from hashlib import blake2b

from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.cache import ENTRY_OVERHEAD_BYTES, Kept
from keeptrusts.gateway.caller import Caller
from keeptrusts.gateway.flights import Flight

REMEMBER_S = 600.0
MAX_REMEMBERED = 10_000
MAX_REMEMBERED_BYTES = 64 * 1024 * 1024
MAX_REMEMBERED_ANSWER_BYTES = 8 * 1024 * 1024
MAX_KEY_BYTES = 255
DIGEST_BYTES = 20


class Repeat:
    """One call under an Idempotency-Key: what was asked, and its flight or, when it has ended well, its answer."""

    __slots__ = ("asked", "expires_at", "flight", "kept")

    def __init__(self, asked: bytes) -> None:
        self.asked = asked
        self.flight = Flight()
        self.kept: Kept | None = None
        self.expires_at = 0.0


class Repeats:
    """All that are remembered, the oldest first. Times are on a monotonic clock."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, Repeat] = {}
        self._answered: OrderedDict[bytes, Repeat] = OrderedDict()
        self._bytes = 0

    def find(self, key: bytes, asked: bytes, now: float) -> Repeat | None:
        """The call under this key. Raises Refused(IDEMPOTENCY_CONFLICT) when that asked something else."""
        self._forget(now)
        known = self._under_way.get(key) or self._answered.get(key)
        if known is not None and known.asked != asked:
            raise Refused(
                Reason.IDEMPOTENCY_CONFLICT,
                "This Idempotency-Key was used for another request within the last ten minutes: take a new one for each request.",
                {"param": "Idempotency-Key"},
            )
        return known

    def begin(self, key: bytes, asked: bytes) -> Repeat:
        """A call begins under this key, under which there is none."""
        repeat = self._under_way[key] = Repeat(asked)
        return repeat

    def end(self, key: bytes, kept: Kept | None, now: float) -> None:
        """The call has ended, with this answer; None: a repeat is a new call."""
        repeat = self._under_way.pop(key)
        if kept is None or len(kept.body) > MAX_REMEMBERED_ANSWER_BYTES:
            return
        repeat.kept, repeat.expires_at = kept, now + REMEMBER_S
        self._answered[key] = repeat
        self._bytes += len(kept.body) + ENTRY_OVERHEAD_BYTES
        while len(self._answered) > MAX_REMEMBERED or self._bytes > MAX_REMEMBERED_BYTES:
            self._drop()

    def _forget(self, now: float) -> None:
        while self._answered and next(iter(self._answered.values())).expires_at <= now:
            self._drop()

    def _drop(self) -> None:
        _, repeat = self._answered.popitem(last=False)
        assert repeat.kept is not None
        self._bytes -= len(repeat.kept.body) + ENTRY_OVERHEAD_BYTES


def repeat_key(caller: Caller, given: bytes) -> bytes:
    """Under which a caller's key is known: nobody else's is the same. Raises Refused(INVALID_REQUEST) for one that is too
    long."""
    if len(given) > MAX_KEY_BYTES:
        message = f"`Idempotency-Key` is longer than {MAX_KEY_BYTES} characters."
        raise Refused(Reason.INVALID_REQUEST, message, {"param": "Idempotency-Key"})
    who = f"{caller.key_id}\0{caller.group}\0".encode()
    return blake2b(who + given, digest_size=DIGEST_BYTES).digest()


def asked_digest(door: str, model: str, body: bytes) -> bytes:
    """What was asked, to know it again. Azure's clients name the ``model`` in the path alone."""
    return blake2b(f"{door}\0{model}\0".encode() + body, digest_size=DIGEST_BYTES).digest()
