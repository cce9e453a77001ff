"""Text as a reader takes it: look-alike forms, case and invisible characters do not tell two words apart."""

import re
from unicodedata import normalize

# Soft hyphen, joiners, directional marks, variation selectors, tags: a reader does not see them.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e0fff]"
)


def normalised(text: str) -> str:
    """NFKC, invisible characters removed, case folded. ASCII stays as it is but for its case."""
    if text.isascii():
        return text.lower()
    return normalize("NFKC", _INVISIBLE.sub("", normalize("NFKC", text)).casefold())
