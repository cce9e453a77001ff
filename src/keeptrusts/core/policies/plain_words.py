"""Words as people write them, as phrases that the search understands."""

import re2

from keeptrusts.core.policies.normalise import normalised


def as_phrase(words: str) -> str:
    """The words literally, whatever signs they hold; blanks, case and apostrophes as in any phrase."""
    return " ".join(
        re2.escape(word).replace("\\'", "'") for word in normalised(words).replace("-", " ").replace("_", " ").split()
    )
