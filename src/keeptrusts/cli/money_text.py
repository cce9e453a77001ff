"""Amounts and shares as people read them: dollars and cents, with more digits exactly when cents alone would tell an untruth.

The rules, in the order in which they decide:

1. What people set (a budget) is shown exactly, with at least two decimals.
2. Spent and remaining share one number of decimals: two while both, where not zero, are at least a cent; else as many as
   give the smaller one two significant digits; never fewer than the budget has (nine at most, which is exact). Spend is
   rounded half up to it, and remaining is the budget less the spend **as shown**: the three figures add up, real spend is
   never ``$0.00``, and a touched budget never looks whole, nor a nearly used one empty.
3. A part of the spend (one model's) has the decimals of the whole, or more when it is itself under a cent.
4. A share is cut, not rounded, to three decimals, so that 100 % is shown when it is reached and not before; a share too
   small for three decimals gets two significant digits. Nothing spent is ``0.0%``.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from keeptrusts.cli.failure import Failure
from keeptrusts.core.money import BadAmount, nanos_from_usd, share_percent

CENT = Decimal("0.01")
PLACES_MIN = 2
PLACES_MAX = 9
SIGNIFICANT_DIGITS = 2
PERCENT_PLACES = 3
PERCENT_PLACES_MAX = 18
"""A nano-dollar of the largest budget that the ledger holds has its first digit in the seventeenth decimal."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A budget, what was spent of it and what remains, as text; ``places`` is how many decimals spend was given."""

    budget: str
    spent: str
    remaining: str
    usage: str
    places: int


def figures(budget: Decimal, spent: Decimal) -> Figures:
    """The three amounts and the share, by rules 1, 2 and 4. Amounts in USD with at most nine decimals."""
    remaining = budget - spent
    places = max(_decimals(budget), _places(abs(spent)), _places(abs(remaining)))
    shown_spent = _rounded(spent, places)
    return Figures(
        budget=exact_dollars(budget),
        spent=_dollars(shown_spent, places),
        remaining=exact_dollars(budget - shown_spent, places),
        usage=_share(budget, spent),
        places=places,
    )


def dollars(amount: Decimal, places: int = PLACES_MIN) -> str:
    """An amount that stands alone or is part of a whole shown with ``places`` decimals (rule 3)."""
    wanted = max(places, _places(abs(amount)))
    return _dollars(_rounded(amount, wanted), wanted)


def exact_dollars(amount: Decimal, places: int = PLACES_MIN) -> str:
    """The amount digit by digit, with at least ``places`` decimals; zero is ``$0.00``."""
    return _dollars(amount, max(places, _decimals(amount)))


def _decimals(amount: Decimal) -> int:
    """How many decimals the amount has, without zeros at its end."""
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _places(amount: Decimal) -> int:
    if amount == 0 or amount >= CENT:
        return PLACES_MIN
    return min(PLACES_MAX, SIGNIFICANT_DIGITS - 1 - amount.adjusted())


def _rounded(amount: Decimal, places: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def _dollars(amount: Decimal, places: int) -> str:
    if amount == 0:
        places = PLACES_MIN
    return f"{'-' if amount < 0 else ''}${abs(amount):.{places}f}"


def _share(budget: Decimal, spent: Decimal) -> str:
    if spent <= 0:
        return "0.0%"
    if budget <= 0:
        return "n/a"
    part, whole = nanos_from_usd(spent), nanos_from_usd(budget)
    percent = share_percent(part, whole, PERCENT_PLACES)
    if percent == 0:
        percent = share_percent(part, whole, _places_of_percent(part, whole))
    before, _, decimals = f"{percent:f}".partition(".")
    return f"{before}.{decimals.rstrip('0') or '0'}%"


def _places_of_percent(part: int, whole: int) -> int:
    """Decimals that show two significant digits of a share below 0.001 %."""
    return SIGNIFICANT_DIGITS - 1 - share_percent(part, whole, PERCENT_PLACES_MAX).adjusted()


def amount_usd(option: str, text: str) -> Decimal:
    """The amount that a person typed after ``option``. Raises Failure for one that the ledger can't hold."""
    try:
        amount = Decimal(text)
        nanos_from_usd(amount)
    except (InvalidOperation, BadAmount) as trouble:
        said = trouble if isinstance(trouble, BadAmount) else f"{text!r} is not a number"
        raise Failure(f"{option}: {said}; write USD as 500 or 0.01") from None
    if amount < 0:
        raise Failure(f"{option}: an amount is at least 0, not {text}")
    return amount
