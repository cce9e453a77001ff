"""Text from elsewhere, made safe to show in a terminal, where control characters act."""


def printable(text: str) -> str:
    """The text with every character that is not printable as its escape (``\\x1b``): names come from callers."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
