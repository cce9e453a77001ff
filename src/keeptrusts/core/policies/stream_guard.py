"""A stream in a door's dialect on its way to the client: every text of it is scanned, and what must change is changed.

Where nothing may change the text, events pass untouched and at once. Else the end of each text is held back, as far as
something may still be found in it: the last event of a text waits until the next one comes, or the text ends.
"""

from collections.abc import Hashable
from typing import Any

import msgspec

from keeptrusts.core.calls.words import reworded, words
from keeptrusts.core.dialects.sse import event_payload, sse_event, whole_events
from keeptrusts.core.policies.judge import Judge, finished
from keeptrusts.core.policies.scanner import Scanner, read_whole
from keeptrusts.core.policies.speech import Channel, Heard, Listen, Said

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

CHANNELS_MAX = 4_096
"""No answer has more texts at once."""


class Unreadable(Exception):
    """An event is not of the dialect, so nobody can say what it says."""


class _Event:
    """An event that may have to wait: how it came, and what it says."""

    __slots__ = ("came", "changed", "told", "waits")

    def __init__(self, came: bytes, told: dict[str, Any]) -> None:
        self.came = came
        self.told = told
        self.changed = False
        self.waits = 0

    def written(self) -> bytes:
        """As it goes out: as it came, unless something in it changed."""
        return sse_event(_encode(self.told), _name(self.came)) if self.changed else self.came


class _Text:
    """A text under way, and where its last piece stands."""

    __slots__ = ("last", "scanner", "where")

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.last: _Event | None = None
        self.where: Said | None = None


class StreamGuard:
    """One stream. ``met`` are the rules that its texts meet; ``blocked_by`` is the one that stops it: what comes before that
    is handed on, and nothing after."""

    def __init__(self, judge: Judge, listen: Listen) -> None:
        self._rules = judge.rule_set
        self._listen = listen
        self._changes = judge.rule_set.changes_text
        self._texts: dict[Channel, _Text] = {}
        self._carry = b""
        self._unread: list[bytes] = []
        self._out: list[bytes] = []
        self.met: set[int] = set()
        self.blocked_by: int | None = None

    def feed(self, data: bytes) -> bytes:
        """The bytes that may be handed on, of these and those before. Raises Unreadable."""
        if self.blocked_by is not None:
            return b""
        self._unread, self._carry = whole_events(self._carry + data)
        while self._unread and self.blocked_by is None:
            self._take(self._unread[0], self._out)
            del self._unread[0]
        return self._handed_on() if self._changes else data

    def finish(self) -> bytes:
        """All texts are at their end: what was held back of them, and of the bytes."""
        self._end((), self._out)
        if self.blocked_by is None:
            self._out += [*self._unread, self._carry]
        self._unread, self._carry = [], b""
        return self._handed_on() if self._changes else b""

    def _handed_on(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _take(self, came: bytes, out: list[bytes]) -> None:
        payload = event_payload(came)
        if not payload or payload == b"[DONE]":
            if payload:
                self._end((), out)
            if self.blocked_by is None:
                out.append(came)
            return
        try:
            told = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unreadable("an event of the answer is not JSON") from None
        event = _Event(came, told)
        try:
            before = _likelihoods(payload)
            heard = self._listen(told)
        except (TypeError, AttributeError):
            raise Unreadable("an event of the answer is not of its dialect") from None
        event.changed = before and self._changes
        self._hear(event, heard, out)

    def _hear(self, event: _Event, heard: Heard, out: list[bytes]) -> None:
        for said in heard.said:
            if self.blocked_by is not None:
                said.within[said.key] = ""
                continue
            self._make_way(said.channel, out)
            self._say(event, said, out)
        if self.blocked_by is None:
            for prefix in heard.ended:
                self._end(prefix, out, but=event)
            self._recap(event, heard)
        if heard.said if self.blocked_by is not None else event.waits == 0:
            out.append(event.written())

    def _make_way(self, channel: Channel, out: list[bytes]) -> None:
        """Another text of the same choice begins: those before it are at their end."""
        if channel not in self._texts and isinstance(channel, tuple):
            if len(self._texts) >= CHANNELS_MAX:
                raise Unreadable("an answer of more texts than any has")
            self._end(channel[:1], out)

    def _say(self, event: _Event, said: Said, out: list[bytes]) -> None:
        text = self._texts.get(said.channel)
        if text is None:
            text = self._texts[said.channel] = _Text(Scanner(self._rules))
        piece = said.text
        told = text.scanner.push(piece)
        self.met |= text.scanner.met
        if not self._changes:
            return
        if text.last is not None and text.last is not event:
            self._release(text, out)
        if told != piece:
            said.within[said.key] = told
            event.changed = True
        if text.scanner.blocked_by is not None:
            self.blocked_by = text.scanner.blocked_by
            return
        if text.last is not event:
            text.last = event
            event.waits += 1
        text.where = said

    def _release(self, text: _Text, out: list[bytes]) -> None:
        event, text.last, text.where = text.last, None, None
        if event is not None:
            event.waits -= 1
            if event.waits == 0:
                out.append(event.written())

    def _end(self, prefix: tuple[Hashable, ...], out: list[bytes], but: _Event | None = None) -> None:
        """The texts whose channel begins so say no more: what was held back of them goes out. ``but``: an event that is
        handed on by whoever ends them with it."""
        ended = [c for c in self._texts if isinstance(c, tuple) and c[: len(prefix)] == prefix]
        for channel in ended:
            text = self._texts.pop(channel)
            rest = text.scanner.push("", last=True)
            self.met |= text.scanner.met
            if not self._changes:
                continue
            if rest and text.where is not None and text.last is not None:
                text.where.within[text.where.key] += rest
                text.last.changed = True
            if text.scanner.blocked_by is not None and self.blocked_by is None:
                self.blocked_by = text.scanner.blocked_by
            if text.last is but and but is not None:
                but.waits -= 1
            else:
                self._release(text, out)

    def _recap(self, event: _Event, heard: Heard) -> None:
        for within, key in heard.recap:
            others: dict[str, str] = {}
            for text in words(within[key]):
                told, scanner = read_whole(self._rules, text)
                self.met |= scanner.met
                if scanner.blocked_by is not None and self._changes:
                    self.blocked_by = scanner.blocked_by
                    return
                if told != text:
                    others[text] = told
            if others:
                within[key] = finished(reworded(within[key], others))
                event.changed = True


def _likelihoods(payload: bytes) -> bool:
    return b'"logprobs"' in payload


def _name(came: bytes) -> str:
    """The event's own name, if it has one."""
    names = [line[6:].strip() for line in came.splitlines() if line.startswith(b"event:")]
    return names[-1].decode(errors="replace") if names else ""
