"""Text from elsewhere, made safe to show: in a terminal, where control characters act, and in a spreadsheet, where formulas do."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    """The text with every character that is not printable as its escape (``\\x1b``): names come from callers."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def inert_cell(text: str) -> str:
    """The text as a CSV cell that no spreadsheet runs: what would start a formula gets an apostrophe first (OWASP)."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
