"""What the policies say to an answer on its way to the client: whole answers are judged before they go, streams as they go."""

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from keeptrusts.core.calls.words import gathered, reworded, words
from keeptrusts.core.policies.judge import CLEAN, Verdict
from keeptrusts.core.policies.speech import ANSWER_FIELDS, LISTEN, forget_likelihoods
from keeptrusts.core.policies.stream_guard import StreamGuard
from keeptrusts.core.policies.told_streams import retold, stream_texts
from keeptrusts.core.refusal import Refused
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.policing import Outside, Policing, Text, in_turns, unjudged, violation

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

HELD_BYTES_MAX = 16 * 1024 * 1024
"""So much of a stream is held for a service to judge; an answer that is longer was not judged."""


class Watch:
    """The policies that judge one call's answer. ``touched``: something was found, so that it is not to be kept for others."""

    def __init__(self, policing: Policing, call: Call, door: str) -> None:
        self._policing = policing
        self._call = call
        self._door = door
        self.touched = False

    @classmethod
    def of(cls, policing: Policing, call: Call, door: str) -> "Watch | None":
        """The watch over a call's answer, where the door's answers have words."""
        return cls(policing, call, door) if door in LISTEN else None

    async def kept(self, body: bytes, events: bytes | None) -> tuple[bytes, bytes | None]:
        """An answer that was paid for before, as it may go to this client: whole, or as a stream's events. Raises Refused."""
        if events is None:
            return await self.whole(body), None
        stream = self.stream(_unsaid)
        out = stream.feed(events)
        out += await stream.end(b"\n\n", complete=True)
        if stream.refused is not None:
            raise stream.refused
        return body, out

    async def whole(self, body: bytes) -> bytes:
        """A whole answer as it may go to the client. Raises Refused."""
        text = self._policing.output_text
        if text is not None and not text.judge.passes(body):
            body = await self._judge_whole(text, body)
        for outside in self._policing.output_outside:
            told = _decode(body)
            before = self._call.policy_actions
            others = await outside.judge(self._call, self._door, "output", await in_turns(gathered(_spoken(told))))
            self.touched |= self._call.policy_actions != before
            if others:
                body = await in_turns(_rewritten(told, others))
        return body

    async def _judge_whole(self, text: Text, body: bytes) -> bytes:
        verdict = CLEAN
        try:
            told = _decode(body)
            verdict = await in_turns(text.judge.examine(_spoken(told)))
            if verdict.blocked_by is None and verdict.redacted:
                body = await in_turns(_rewritten(told, verdict.redacted))
        except Exception:
            self.failed(text)
            if not text.fails_open:
                raise unjudged(text.name, "output") from None
        self.note(verdict)
        if verdict.blocked_by is not None:
            raise violation(verdict.blocked_by, "output")
        return body

    def stream(self, broken: Callable[[Refused], bytes]) -> "StreamWatch":
        """A watch over the answer's stream. ``broken`` writes the event that tells a client why it ends."""
        return StreamWatch(self, self._policing, self._call, self._door, broken)

    def failed(self, text: Text) -> None:
        self.touched = True
        self._call.policy_actions = (*self._call.policy_actions, f"policy_failed:{text.name}")

    def note(self, verdict: Verdict) -> None:
        if verdict.actions:
            self.touched = True
            self._call.policy_actions = tuple(dict.fromkeys(self._call.policy_actions + verdict.actions))


class StreamWatch:
    """A stream's way through the policies. ``refused`` is set when it must not go on: nothing is handed on after that."""

    def __init__(
        self, watch: Watch, policing: Policing, call: Call, door: str, broken: Callable[[Refused], bytes]
    ) -> None:
        self._watch = watch
        self._text = policing.output_text
        self._outside = policing.output_outside
        self._call = call
        self._door = door
        self._broken = broken
        self._guard = None if self._text is None else StreamGuard(self._text.judge, LISTEN[door])
        self._holds = any(outside.acts for outside in self._outside)
        self._collected: list[bytes] = []
        self._size = 0
        self.refused: Refused | None = None

    def _told(self) -> bytes:
        """The event that says why the answer ends here, if it does."""
        return b"" if self.refused is None else self._broken(self.refused)

    def feed(self, data: bytes) -> bytes:
        """What may go to the client now, of these bytes and those before; and the end, where a policy stops the answer."""
        if self.refused is not None:
            return b""
        out = self._guarded(lambda guard: guard.feed(data), data)
        if self._outside:
            self._collect(out)
            out = b"" if self._holds else out
        return out + self._told()

    def _guarded(self, take: Callable[[StreamGuard], bytes], data: bytes) -> bytes:
        guard, text = self._guard, self._text
        if guard is None or text is None:
            return data
        try:
            out = take(guard)
        except Exception:
            self._guard = None
            self._watch.failed(text)
            if not text.fails_open:
                self.refused = unjudged(text.name, "output")
                return b""
            return guard.finish() if text.judge.rule_set.changes_text else data
        if guard.blocked_by is not None:
            self.refused = violation(text.judge.rule_set.ruled[guard.blocked_by].policy, "output")
        return out

    def _collect(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= HELD_BYTES_MAX:
            self._collected.append(data)

    async def end(self, last: bytes, complete: bool) -> bytes:
        """The stream's last bytes as they may go to the client, with all that was held back. ``complete``: they are its end,
        after a comment; else they say how it broke off."""
        if self.refused is not None:
            self._note()
            return b""
        comment, blank, ending = last.partition(b"\n\n") if complete else (b"", b"", b"")
        out = self._guarded(lambda guard: guard.feed(ending) + guard.finish(), ending)
        self._note()
        if self._outside:
            self._collect(out)
            await self._ask_all()
            if self._holds:
                out = b"".join(self._collected)
        if told := self._told():
            return told if self._holds else out + told
        return comment + blank + out if complete else out + last

    def _note(self) -> None:
        if self._guard is not None and self._text is not None:
            self._watch.note(self._text.judge.verdict(self._guard.met))

    async def _ask_all(self) -> None:
        if self._told():
            return
        try:
            for outside in self._outside:
                await self._ask(outside)
        except Refused as refused:
            self.refused = refused

    async def _ask(self, outside: Outside) -> None:
        if self._size > HELD_BYTES_MAX:
            self._watch.touched = True
            self._call.policy_actions = (*self._call.policy_actions, f"policy_failed:{outside.policy.name}")
            if not outside.fails_open:
                raise unjudged(outside.policy.name, "output")
            return
        before = self._call.policy_actions
        stream = b"".join(self._collected)
        texts = stream_texts(self._door, stream)
        try:
            others = await outside.judge(self._call, self._door, "output", texts)
        finally:
            self._watch.touched |= self._call.policy_actions != before
        if others:
            self._collected = [retold(self._door, stream, [others.get(text, text) for text in texts])]


def _spoken(told: dict[str, Any]) -> Generator[str, None, None]:
    for field in ANSWER_FIELDS:
        if field in told:
            yield from words(told[field])


def _rewritten(told: dict[str, Any], others: Any) -> Generator[None, None, bytes]:
    for field in ANSWER_FIELDS:
        if field in told:
            told[field] = yield from reworded(told[field], others)
            forget_likelihoods(told[field])
    return _encode(told)


def _unsaid(refused: Refused) -> bytes:
    """The refusal is raised: nothing has gone to the client yet that could tell it."""
    del refused
    return b""
