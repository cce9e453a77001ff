"""A stream's way from the provider's bytes to the client's, and what is kept of it."""

from collections.abc import Callable

from keeptrusts.core.providers.wire import Stream
from keeptrusts.core.refusal import Refused
from keeptrusts.gateway.caller import Standing
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.exchange import UpstreamFailed
from keeptrusts.gateway.watching import StreamWatch


class Passage:
    """Reads a stream for a client. ``room_bytes`` is how much of it is kept at most; below 0: nothing is. ``bound_bytes`` is
    how much may come, None: any amount.

    When the key is revoked, by its ``standing``, the client is ``cut`` off with the event that ``broken`` makes; the stream is
    read on to its end, for only that says what it cost. ``watch`` judges it, where policies have a say in answers.
    """

    __slots__ = ("_bound", "_broken_event", "_client", "_kept", "_reader", "_room", "_standing", "_watch", "cut")

    def __init__(
        self,
        client: Client,
        reader: Stream,
        room_bytes: int,
        standing: Standing,
        broken: Callable[[Refused], bytes],
        watch: StreamWatch | None,
        bound_bytes: int | None,
    ) -> None:
        self.cut = False
        self._watch = watch
        self._standing = standing
        self._broken_event = broken
        self._client = client
        self._reader = reader
        self._room = room_bytes
        self._bound = bound_bytes
        self._kept: list[bytes] = []

    def at_once(self, data: bytes) -> bool:
        """Passes bytes on as they arrive; False, and nothing done, where the client has to be waited for.

        Raises UpstreamFailed for what ends a stream before its time.
        """
        if self._standing.revoked is not None or not self._client.takes_at_once:
            return False
        out = self._read(data)
        if out:
            self._client.write_more(out)
        if self._reader.broken is not None:
            raise self._broken()
        return True

    async def more(self, data: bytes) -> None:
        """Passes bytes on, and waits for a client that is slow. Raises UpstreamFailed as ``at_once`` does."""
        out = self._read(data)
        revoked = self._standing.revoked
        if revoked is not None and not self.cut:
            self.cut = True
            await self._client.cut(b"\n\n" + self._broken_event(revoked))
        if out and not self.cut:
            await self._client.more(out)
        if self._reader.broken is not None:
            raise self._broken()

    async def finish(self) -> None:
        """The provider said all: passes on a last event that lacks only its end."""
        out = self._reader.finish()
        if out and self._watch is not None:
            out = self._watch.feed(out)
        if out:
            self.keep(out)
            if not self.cut:
                await self._client.more(out)

    def keep(self, out: bytes) -> None:
        """Keeps what the client got, or would have got."""
        self._room -= len(out)
        if self._room >= 0:
            self._kept.append(out)

    def kept(self) -> bytes | None:
        """All that the client got; None when it was more than there is room for."""
        return b"".join(self._kept) if self._room >= 0 else None

    def _read(self, data: bytes) -> bytes:
        if self._bound is not None:
            self._bound -= len(data)
            if self._bound < 0:
                raise UpstreamFailed("its answer is larger than size_limits.max_response_bytes", sent=True)
        out = self._reader.feed(data)
        if out:
            if self._watch is not None:
                # What a policy stops ends for the client here; the rest is read, for only that says what it cost.
                out = self._watch.feed(out)
            self.keep(out)
        elif self._reader.overfull:
            raise UpstreamFailed("an event of its stream is larger than any may be", sent=True)
        return out

    def _broken(self) -> UpstreamFailed:
        return UpstreamFailed(f"it said {self._reader.broken}", sent=True)
