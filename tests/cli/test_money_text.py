"""Amounts as people read them: real spend is never $0.00, a touched budget never looks whole, and the figures add up."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.cli.money_text import dollars, exact_dollars, figures


@pytest.mark.parametrize(
    ("budget", "spent", "shown"),
    [
        # the tutorial's
        ("500", "0.02", ("$500.00", "$0.02", "$499.98", "0.004%")),
        ("100.00", "0", ("$100.00", "$0.00", "$100.00", "0.0%")),
        # spend under a cent, and a budget that is nearly used up
        ("500", "0.0000171", ("$500.00", "$0.000017", "$499.999983", "0.0000034%")),
        ("500", "0.004996", ("$500.00", "$0.0050", "$499.9950", "0.00099%")),
        ("500", "499.999983", ("$500.00", "$499.999983", "$0.000017", "99.999%")),
        ("0.01", "0.0099713", ("$0.01", "$0.009971", "$0.000029", "99.713%")),
        ("1000", "0.000000001", ("$1000.00", "$0.000000001", "$999.999999999", "0.0000000001%")),
        # used up, overspent, none set
        ("0.01", "0.01", ("$0.01", "$0.01", "$0.00", "100.0%")),
        ("10", "12.5", ("$10.00", "$12.50", "-$2.50", "125.0%")),
        ("0", "0.5", ("$0.00", "$0.50", "-$0.50", "n/a")),
        ("0", "0", ("$0.00", "$0.00", "$0.00", "0.0%")),
        # cents round once, so that the three add up
        ("500", "0.025", ("$500.00", "$0.03", "$499.97", "0.005%")),
        ("500", "123.456789", ("$500.00", "$123.46", "$376.54", "24.691%")),
        # what people set is exact
        ("0.0005", "0.0001", ("$0.0005", "$0.00010", "$0.00040", "20.0%")),
        ("10.005", "5", ("$10.005", "$5.000", "$5.005", "49.975%")),
        ("0.000000101", "0.000000101", ("$0.000000101", "$0.000000101", "$0.00", "100.0%")),
    ],
)
def test_the_rule(budget: str, spent: str, shown: tuple[str, str, str, str]) -> None:
    it = figures(Decimal(budget), Decimal(spent))
    assert (it.budget, it.spent, it.remaining, it.usage) == shown


USD = st.integers(0, 2**63 - 1).map(lambda nanos: Decimal(nanos).scaleb(-9))


@given(budget=USD, spent=USD)
def test_whatever_the_amounts_the_figures_add_up_and_nothing_real_is_shown_as_nothing(
    budget: Decimal, spent: Decimal
) -> None:
    it = figures(budget, spent)
    shown = [Decimal(text.replace("$", "")) for text in (it.budget, it.spent, it.remaining)]
    assert shown[0] == budget == shown[1] + shown[2]
    assert (shown[1] == 0) == (spent == 0)
    assert (shown[2] == 0) == (spent == budget)
    if budget:
        percent = Decimal(it.usage.removesuffix("%"))
        assert (percent == 0) == (spent == 0)
        assert (percent >= 100) == (spent >= budget)


def test_a_part_has_the_decimals_of_the_whole_or_more() -> None:
    assert dollars(Decimal("0.02"), 2) == "$0.02"
    assert dollars(Decimal("0.000017"), 2) == "$0.000017"
    assert dollars(Decimal(5), 6) == "$5.000000"
    assert dollars(Decimal(0), 6) == "$0.00"


def test_an_exact_amount_has_no_exponent() -> None:
    assert exact_dollars(Decimal("1E+4")) == "$10000.00"
    assert exact_dollars(Decimal("1E-9")) == "$0.000000001"
