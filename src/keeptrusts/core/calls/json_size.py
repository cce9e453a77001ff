"""How much JSON a body may hold, beside its bytes: 16 MB of one-letter strings are millions of values, and whoever goes
through them holds everybody else up for seconds.
"""

from keeptrusts.core.refusal import Reason, Refused

UNCOUNTED_BYTES = 128 * 1024
"""No body of this size holds too much."""

MAX_STRINGS = 100_000
"""Strings (names too), lists and objects. A long conversation with many tools has some ten thousand."""

MAX_VALUES = 500_000
"""Numbers too: an embedding of the largest batch that providers take is 300,000 of them."""


def refuse_too_many(body: bytes) -> None:
    """Raises Refused(BODY_TOO_LARGE) for a body with too many values. It is not decoded for that, and need not be JSON."""
    if len(body) <= UNCOUNTED_BYTES:
        return
    # Quotes, brackets and commas stand in long texts as well: only when there are many is it looked where they stand.
    if (
        body.count(b'"') <= MAX_STRINGS
        and body.count(b"[") + body.count(b"{") <= MAX_STRINGS // 2
        and body.count(b",") <= MAX_VALUES
    ):
        return
    told = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = told.count(b'"') // 2
    if strings <= MAX_STRINGS:
        outside = b"".join(told.split(b'"')[::2])
        strings += outside.count(b"[") + outside.count(b"{")
        if strings <= MAX_STRINGS and outside.count(b",") <= MAX_VALUES:
            return
    raise Refused(
        Reason.BODY_TOO_LARGE,
        f"The body holds too many values: {MAX_STRINGS:,} strings, lists and objects at most, and {MAX_VALUES:,} values.",
        {"max_strings": MAX_STRINGS, "max_values": MAX_VALUES},
    )
