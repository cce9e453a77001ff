"""Text as a reader takes it: look-alike forms, case and invisible characters do not tell two words apart."""

import re
from unicodedata import normalize

# Soft hyphen, joiners, directional marks, variation selectors, tags: a reader does not see them.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e0fff]"
)

PIECE_CHARACTERS = 256


def normalised(text: str) -> str:
    """NFKC, invisible characters removed, case folded. ASCII stays as it is but for its case."""
    if text.isascii():
        return text.lower()
    return _composed(_INVISIBLE.sub("", _composed(text)).casefold())


def _composed(text: str) -> str:
    # Unicode's normal forms cost the square of a run of combining marks: piece by piece no text can be made to cost that.
    if len(text) > PIECE_CHARACTERS:
        return "".join(
            [normalize("NFKC", text[at : at + PIECE_CHARACTERS]) for at in range(0, len(text), PIECE_CHARACTERS)]
        )
    return normalize("NFKC", text)
