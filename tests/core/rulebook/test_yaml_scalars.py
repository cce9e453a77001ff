"""An unquoted word means what YAML 1.2 says it means, and a number keeps every digit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.rulebook.yaml_scalars import plain_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None),
        ("true", True), ("FALSE", False),
        ("yes", "yes"), ("on", "on"), ("no", "no"),
        ("12:30", "12:30"), ("2026-01-01", "2026-01-01"), ("1_000", "1_000"), ("1.2.3", "1.2.3"),
        ("5", 5), ("-5", -5), ("+5", 5), ("007", 7), ("0o17", 15), ("0xff", 255), ("0b1", "0b1"),
        ("0.00015", Decimal("0.00015")), (".5", Decimal("0.5")), ("5.", Decimal(5)), ("1e3", Decimal(1000)),
        (".inf", ".inf"), (".nan", ".nan"), (".", "."), ("1e9999", "1e9999"),
        ("9" * 31, "9" * 31),
    ],
)  # fmt: skip
def test_words_and_numbers(text, value):
    found = plain_scalar(text)
    assert found == value
    assert type(found) is type(value)


@given(st.decimals(min_value=0, max_value=10**12, places=9))
def test_money_survives_being_written_and_read(amount):
    assert plain_scalar(format(amount, "f")) == amount
