"""Money as integers: amounts in nano-USD, prices in pico-USD per token. Nothing else divides or rounds money."""

from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation

NANOS_PER_USD = 1_000_000_000
PICOS_PER_NANO = 1_000
MAX_NANOS = 2**63 - 1
"""What an int64 column holds: about 9.2 billion USD."""

MAX_DIGITS = 40
_EXACT = Context(prec=2 * MAX_DIGITS)


class BadAmount(ValueError):
    """The text or number is not an amount of money that the ledger can hold; the message says why."""


def nanos_from_usd(amount: Decimal | int | str) -> int:
    """USD (at most nine decimals) to nano-USD, exactly.

    Raises BadAmount for anything that is not a finite number, has more than nine decimals or does not fit int64.
    """
    try:
        value = Decimal(amount)
    except (InvalidOperation, ValueError, TypeError):
        raise BadAmount(f"{amount!r} is not a number") from None
    if not value.is_finite():
        raise BadAmount(f"{amount} is not a finite number")
    return _billionths(value, f"it is at most {usd_text(MAX_NANOS)} USD")


def _billionths(value: Decimal, largest: str) -> int:
    """``value`` times 10^9, exactly. Raises BadAmount when that is not an int64."""
    digits = value.as_tuple().digits
    if len(digits) > MAX_DIGITS:
        raise BadAmount(f"{len(digits)} digits are too many: nine decimals at most")
    if value and value.adjusted() < -9:
        raise BadAmount(f"{value} has more than nine decimals")
    if value.adjusted() > 12:
        raise BadAmount(f"{value} is out of range: {largest}")
    scaled = _EXACT.scaleb(value, 9)
    if scaled != scaled.to_integral_value():
        raise BadAmount(f"{value} has more than nine decimals")
    if abs(scaled) > MAX_NANOS:
        raise BadAmount(f"{value} is out of range: {largest}")
    return int(scaled)


def usd(nanos: int) -> Decimal:
    """Nano-USD as an exact Decimal of USD without trailing zeros (a JSON encoder writes it as a plain number)."""
    whole, fraction = divmod(abs(nanos), NANOS_PER_USD)
    digits = f"{whole}.{fraction:09d}".rstrip("0").rstrip(".")
    return Decimal(f"-{digits}" if nanos < 0 else digits)


def usd_text(nanos: int) -> str:
    """Nano-USD as exact plain text, for example ``0.0000171``; never an exponent."""
    return format(usd(nanos), "f")


def pico_per_token(usd_per_1k_tokens: Decimal | int | str) -> int:
    """A price in USD per 1,000 tokens to pico-USD per token, exactly.

    Raises BadAmount when the price is negative, not finite, or finer than one pico-USD a token (nine decimals per 1K).
    """
    try:
        value = Decimal(usd_per_1k_tokens)
    except (InvalidOperation, ValueError, TypeError):
        raise BadAmount(f"{usd_per_1k_tokens!r} is not a number") from None
    if not value.is_finite() or value < 0:
        raise BadAmount(f"a price is a finite number of at least 0, not {usd_per_1k_tokens}")
    return _billionths(value, "it is too large for a price per 1K tokens")


def usd_per_1k_tokens(pico: int) -> Decimal:
    """Pico-USD per token as USD per 1,000 tokens, exactly."""
    return usd(pico)


def nanos_from_picos_up(picos: int) -> int:
    """Pico-USD to nano-USD, rounded up: the single rounding that a call's cost undergoes."""
    return -(-picos // PICOS_PER_NANO)


def nanos_of_share_up(picos: int, percent: int) -> int:
    """``percent`` % of pico-USD as nano-USD, rounded up once."""
    return -(-picos * percent // (100 * PICOS_PER_NANO))


def nanos_of_part_up(nanos_per_whole: int, parts: int, parts_per_whole: int) -> int:
    """So many parts at a price for the whole (characters by the thousand, sound by the minute), rounded up once."""
    return -(-nanos_per_whole * parts // parts_per_whole)


def percent_of(nanos: int, percent: int) -> int:
    """``percent`` % of an amount, rounded down."""
    return nanos * percent // 100


def share_percent(part_nanos: int, whole_nanos: int, places: int) -> Decimal:
    """``part`` as a percentage of ``whole``, cut to ``places`` decimals; 0 when there is no whole."""
    if whole_nanos <= 0:
        return Decimal(0)
    exact = Decimal(part_nanos) * 100 / Decimal(whole_nanos)
    return exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_FLOOR)
