"""Identifiers: a prefix that says the kind, then a part that sorts by time, then a random part that the shell draws."""

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
"""Base 36 in ASCII order, so that ids of one kind sort by their time."""


def base36(number: int, width: int) -> str:
    """``number`` in base 36, left-padded with zeros to ``width`` characters."""
    digits = []
    while number:
        number, rest = divmod(number, 36)
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits)).rjust(width, "0")


def new_id(prefix: str, now_ms: int, draw: bytes) -> str:
    """A time-ordered id such as ``tok_0mh2k9x1q7...``: nine characters of milliseconds, then the drawn bytes."""
    return f"{prefix}_{base36(now_ms, 9)}{base36(int.from_bytes(draw, 'big'), (len(draw) * 8 * 100 + 516) // 517)}"
