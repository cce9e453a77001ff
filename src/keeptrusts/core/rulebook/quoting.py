"""How a person's own words are repeated in a message: short, on one line, and unable to steer a terminal."""

SHOWN_MAX = 60


def quoted(text: str) -> str:
    """The text between backticks; control characters escaped, long text cut."""
    cut = text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + "..."
    return "`" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut) + "`"


def listed(words: list[str] | tuple[str, ...]) -> str:
    """``a``, ``b``, ``c`` between backticks."""
    return ", ".join(quoted(word) for word in words)
