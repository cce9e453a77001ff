"""What a client may add to its key's attribution: which dimensions, which values; and the attribution that comes of it.

A dimension that the credential binds is bound: a client may repeat its value, and nothing else. Where the money of a call
comes from in the tree, its team, is never a client's to say.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.refusal import Reason, Refused

ANY = "*"
"""Stands in a list of allowed values for all of them."""

ADDABLE = ("application", "feature", "environment", "project", "customer", "department", "user", "cost_center")
"""Dimensions that clients may be allowed to add."""

CARRIED = ("organization", "team", *ADDABLE)
"""Names under which a request may speak of its attribution, whether it may or not."""

MAX_VALUE = 128
"""Characters of a value: as many as a policy file's names have."""

MAX_CHOICES = 1_000
"""Values that a key or group may list for one dimension."""

MAX_SHOWN = 20

Additions = Mapping[str, frozenset[str] | None]
"""Dimensions that clients may add, each with the values that it may have; None: any."""


def additions_of(bound: Attribution, *wishes: Mapping[str, Sequence[str]]) -> Additions | None:
    """What clients may add where each of ``wishes`` (a key's, its group's) says what it allows: one that is silent on a
    dimension leaves it to the others, and where several speak, all of them must allow a value. None: nothing."""
    found: dict[str, frozenset[str] | None] = {}
    for wish in wishes:
        for dimension, values in wish.items():
            if dimension not in ADDABLE or getattr(bound, dimension) is not None:
                continue
            allowed = None if ANY in values else frozenset(map(usual_form, values))
            earlier = found.get(dimension)
            both = allowed if earlier is None else earlier if allowed is None else earlier & allowed
            found[dimension] = both
    return found or None


def usual_form(value: str) -> str:
    """The one form of a value in which it is compared and kept: NFC, no blanks at its ends."""
    return unicodedata.normalize("NFC", value.strip())


def read_value(dimension: str, given: object) -> str | None:
    """A value that came in, in its usual form; None when nothing was said. Raises Refused(INVALID_REQUEST)."""
    if given is None:
        return None
    if not isinstance(given, str):
        raise _malformed(dimension, "must be text")
    value = usual_form(given)
    if len(value) > MAX_VALUE:
        raise _malformed(dimension, f"has more than {MAX_VALUE} characters")
    if not value.isprintable():
        raise _malformed(dimension, "holds characters that can't be printed")
    return value or None


def attributed(bound: Attribution, additions: Additions, given: Iterable[tuple[str, str]]) -> Attribution:
    """The attribution with what the client gave, dimensions and their values.

    Raises Refused: ATTRIBUTION_NOT_ALLOWED for what it may not say, INVALID_REQUEST for one dimension with two values.
    """
    added: dict[str, str] = {}
    for dimension, value in given:
        fixed = getattr(bound, dimension, None)
        if fixed is not None:
            if usual_form(fixed) != value:
                raise _bound(dimension, fixed)
        elif dimension not in additions:
            raise _closed(dimension, additions)
        else:
            allowed = additions[dimension]
            if allowed is not None and value not in allowed:
                raise _not_allowed(dimension, allowed)
            if added.setdefault(dimension, value) != value:
                raise _malformed(dimension, "is given twice, with different values")
    return msgspec.structs.replace(bound, **added) if added else bound


def _malformed(dimension: str, what: str) -> Refused:
    return Refused(Reason.INVALID_REQUEST, f"The attribution's {dimension} {what}.", {"dimension": dimension})


def _bound(dimension: str, value: str) -> Refused:
    return Refused(
        Reason.ATTRIBUTION_NOT_ALLOWED,
        f"This key is bound to the {dimension} {value!r}: a call can't name another one.",
        {"dimension": dimension, "allowed": [value]},
    )


def _closed(dimension: str, additions: Additions) -> Refused:
    return Refused(
        Reason.ATTRIBUTION_NOT_ALLOWED,
        f"This key does not let a call name its {dimension}, only: {', '.join(sorted(additions))}.",
        {"dimension": dimension, "allowed": []},
    )


def _not_allowed(dimension: str, allowed: frozenset[str]) -> Refused:
    shown = sorted(allowed)[:MAX_SHOWN]
    more = f" and {len(allowed) - MAX_SHOWN} more" if len(allowed) > MAX_SHOWN else ""
    return Refused(
        Reason.ATTRIBUTION_NOT_ALLOWED,
        f"This key does not allow this {dimension}: it allows {', '.join(shown) or 'none'}{more}.",
        {"dimension": dimension, "allowed": shown},
    )
