"""Reads one text as it comes, in pieces cut anywhere: says which rules it meets, and hands it on with what is to be redacted
redacted. How the text was cut makes no difference to either.

Whether something is found at a place depends on the bytes from there to ``longest_bytes`` on, and on nothing behind them.
So a place is judged when that much has come, or the text has ended, and not before.
"""

import re

from keeptrusts.core.policies.rule_set import CONTEXT_BYTES, Checks, RuleSet, View

STRIDE_BYTES = 32
"""Streams come in pieces of a few bytes: so many are judged at once, since each time costs a search. A text that nobody changes
is not held back for it, so there it may be more."""
WATCHING_STRIDE_BYTES = 256

_ESCAPE = re.compile(rb"\\.", re.DOTALL)


class Scanner:
    """One text. ``met`` are the positions of the rules that it meets; ``blocked_by`` is the first that stops it: what comes
    before that is handed on, and nothing after."""

    __slots__ = ("_after", "_buffer", "_checks", "_cursor", "_eating", "_escaped", "_in_quotes", "_is_json", "_marked",
                 "_scanned", "_set", "blocked_by", "met")  # fmt: skip

    def __init__(self, rule_set: RuleSet) -> None:
        self._set = rule_set
        self._buffer = b""
        self._scanned = 0
        self._cursor = 0
        self._after: dict[int, int] = {}
        self._eating: int | None = None
        self._checks = Checks()
        self._is_json: bool | None = None
        self._in_quotes = False
        self._escaped = False
        self._marked: int | None = None
        self.met: set[int] = set()
        self.blocked_by: int | None = None

    @property
    def holds(self) -> bool:
        """Whether some of the text is held back."""
        return self._cursor < len(self._buffer) and self.blocked_by is None and self._set.changes_text

    def push(self, text: str, last: bool = False) -> str:
        """More of the text; returns what may be handed on now."""
        if self.blocked_by is not None:
            return ""
        if text:
            self._buffer += text.encode(errors="surrogatepass")
        changes = self._set.changes_text
        limit = len(self._buffer)
        if not last:
            limit -= self._set.longest_bytes
            if limit - self._scanned < (STRIDE_BYTES if changes else WATCHING_STRIDE_BYTES):
                return "" if changes else text
            limit = self._boundary(limit)
        out = self._judged_to(limit)
        self._forget()
        return out if changes else text

    def _boundary(self, at: int) -> int:
        while at > 0 and self._buffer[at] & 0xC0 == 0x80:
            at -= 1
        return at

    def _judged_to(self, limit: int) -> str:
        view = View(self._buffer)
        spans: list[tuple[int, int, int]] = []
        for position in self._set.met_in(view):
            at = max(self._scanned, self._after.get(position, 0))
            while (span := self._set.find(position, view, at, limit, self._checks)) is not None:
                start, at = span
                spans.append((start, position, at))
                self._after[position] = at
        self._scanned = limit
        spans.sort()
        pieces: list[bytes] = []
        for start, position, end in spans:
            self._eat(start)
            ruled = self._set.ruled[position]
            self.met.add(position)
            if ruled.effect == "note":
                continue
            if start >= self._cursor:
                self._hand_on(start, pieces)
                if ruled.effect == "redact" and self._marked != position:
                    pieces.append(self._marker(ruled.rule.marker))
                    self._marked = position
            if ruled.effect == "block":
                self.blocked_by = position
                self.met.update(other for _, other, _ in spans)
                self._cursor = len(self._buffer)
                return b"".join(pieces).decode(errors="surrogatepass")
            self._cursor = max(self._cursor, end)
            if self._set.eats(position):
                self._eating = position
        self._eat(limit)
        if self._cursor < limit:
            self._hand_on(limit, pieces)
        return b"".join(pieces).decode(errors="surrogatepass")

    def _eat(self, limit: int) -> None:
        """Takes what belongs to the last match, as far as ``limit``."""
        if self._eating is not None and self._cursor < limit:
            self._cursor, over = self._set.eaten_to(self._eating, self._buffer, self._cursor, limit)
            if over:
                self._eating = None

    def _hand_on(self, to: int, pieces: list[bytes]) -> None:
        """The text from where it was handed on last. Whether it is JSON, and in a string of it, is kept in mind."""
        piece = self._buffer[self._cursor : to]
        self._cursor = to
        if not piece:
            return
        pieces.append(piece)
        self._marked = None
        if self._is_json is None and (begun := piece.lstrip()):
            self._is_json = begun[:1] in (b"{", b"[")
        if self._is_json:
            told = (b"\\" if self._escaped else b"") + piece
            told = _ESCAPE.sub(b"", told)
            self._escaped = told.endswith(b"\\")
            self._in_quotes ^= bool(told.count(b'"') % 2)

    def _marker(self, marker: str) -> bytes:
        """In JSON a number has no quotes: what stands for it needs them."""
        return (f'"{marker}"' if self._is_json and not self._in_quotes else marker).encode()

    def _forget(self) -> None:
        """Keeps no more than what is still to be judged or handed on, and the character before it."""
        done = min(self._scanned, self._cursor) if self._set.changes_text else self._scanned
        cut = self._boundary(min(done, len(self._buffer)) - CONTEXT_BYTES)
        if cut <= 0:
            return
        self._buffer = self._buffer[cut:]
        self._scanned -= cut
        self._cursor = max(0, self._cursor - cut)
        self._after = {position: at - cut for position, at in self._after.items() if at > cut}


def read_whole(rule_set: RuleSet, text: str) -> tuple[str, Scanner]:
    """A text that is there whole: as it may be handed on, and what was found in it."""
    scanner = Scanner(rule_set)
    return scanner.push(text, last=True), scanner
