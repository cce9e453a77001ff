"""Text as a reader takes it: look-alike forms, case and invisible characters do not tell two words apart.

Each character is folded by itself, so that a text folds alike however it is cut, and every place in the folded text has its
place in the text as it was written.
"""

import re
from array import array
from bisect import bisect_left
from unicodedata import normalize

# Soft hyphen, joiners, directional marks, variation selectors, tags: a reader does not see them.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e0fff]"
)

KNOWN_CHARACTERS_MAX = 20_000


class _Folds(dict[int, str]):
    """What each character folds to, remembered for those that were met."""

    def __missing__(self, code: int) -> str:
        if len(self) >= KNOWN_CHARACTERS_MAX:
            self.clear()
        visible = _INVISIBLE.sub("", normalize("NFKC", chr(code)))
        folded = self[code] = normalize("NFKC", visible.casefold())
        return folded


_FOLDS = _Folds()


def normalised(text: str) -> str:
    """NFKC, invisible characters removed, case folded, each character by itself. ASCII stays as it is but for its case."""
    return text.lower() if text.isascii() else text.translate(_FOLDS)


class Folded:
    """A folded text in UTF-8, and where each of its bytes comes from in the text as it was written, in UTF-8 too."""

    __slots__ = ("_ends", "_starts", "data")

    def __init__(self, written: bytes) -> None:
        self._starts: array[int] | None = None
        if written.isascii():
            self.data = written.lower()
            return
        pieces, starts, ends, at = [], array("q"), array("q"), 0
        for character in written.decode(errors="surrogatepass"):
            folded = _FOLDS[ord(character)].encode(errors="replace")
            end = at + len(character.encode(errors="surrogatepass"))
            pieces.append(folded)
            starts.extend([at] * len(folded))
            ends.extend([end] * len(folded))
            at = end
        self.data = b"".join(pieces)
        self._starts, self._ends = starts, ends

    def place_of(self, written_at: int) -> int:
        """The first place in the folded text that comes from ``written_at`` or after."""
        return written_at if self._starts is None else bisect_left(self._starts, written_at)

    def written_span(self, start: int, end: int) -> tuple[int, int]:
        """Where a span of the folded text, which holds something, was written."""
        return (start, end) if self._starts is None else (self._starts[start], self._ends[end - 1])
