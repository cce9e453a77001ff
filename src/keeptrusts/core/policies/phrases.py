"""Phrases to look for, as two patterns: an exact one for a text that a person reads, a looser one for the JSON around it.

A phrase is written in RE2's syntax with lower-case words and no dots. A space in it stands for any run of blanks,
hyphens or underscores, an apostrophe for an apostrophe of any shape, or none.
"""

import re
from collections.abc import Mapping

from msgspec import Struct

TEXT_GAP = r"(?:[\s\pZ_-]+)"
TEXT_APOSTROPHE = "['\u2018\u2019\u02bc]?"
BODY_GAP = r"(?:(?:[\s_-]|\\+[tnrf])+)"
"""The same in a JSON string, where a line break is written as backslash and n; with more of them where JSON stands in JSON."""
BODY_APOSTROPHE = "'?"

_ESCAPABLE = re.compile(r'\\([/"\\])')
_IN_JSON: Mapping[str, str] = {"/": r"\\*/", '"': r'\\+"', "\\": r"\\+"}
"""What has, or may have, a backslash before it in a JSON string."""

LONGEST_PHRASE_BYTES = 160
"""A phrase that is spread over more, by blanks between its words, is not found."""


class Phrases(Struct, frozen=True):
    """Alternatives of which one is enough. See kind.Sought."""

    alternatives: tuple[str, ...]

    folded = True
    led = True
    longest_bytes = LONGEST_PHRASE_BYTES
    accept = None
    eats = None

    def in_text(self) -> bytes:
        """A pattern for a normalised text in UTF-8: whole words only, letters of any script counted as such."""
        words = self._spelled(TEXT_GAP, TEXT_APOSTROPHE)
        return rf"(?:^|[^\pL\pN_])({words})(?:$|[^\pL\pN_])".encode()

    def in_body(self) -> bytes | None:
        """A pattern for a JSON body in ASCII: matches wherever ``in_text`` matches one of its strings, and more often.

        A word has no beginning here, for in ``"\\nword"`` the letter of the escape stands before it.
        """
        # What is not ASCII is not in such a body, but behind an escape that is a hit itself.
        written = [phrase for phrase in self.alternatives if phrase.isascii()]
        if not written:
            return b""
        spelled = _ESCAPABLE.sub(lambda found: _IN_JSON[found[1]], "|".join(written))
        spelled = spelled.replace("'", BODY_APOSTROPHE).replace(" ", BODY_GAP)
        return rf"(?:{spelled})(?:$|[^0-9A-Za-z_])".encode("ascii")

    def _spelled(self, gap: str, apostrophe: str) -> str:
        return "|".join(self.alternatives).replace("'", apostrophe).replace(" ", gap)
