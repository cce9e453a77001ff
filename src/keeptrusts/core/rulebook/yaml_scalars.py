"""What an unquoted word in YAML means: the YAML 1.2 core schema, with exact decimals in place of floats."""

import re
from decimal import Decimal

Scalar = str | int | bool | Decimal | None

WORDS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip

# Thirty digits are far more than any setting needs; longer runs of digits stay text.
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}\Z")
_OCTAL_OR_HEXADECIMAL = re.compile(r"(0o[0-7]{1,20}|0x[0-9a-fA-F]{1,20})\Z")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?\Z")


def plain_scalar(text: str) -> Scalar:
    """The value of an unquoted scalar. Money keeps every digit: ``0.00015`` becomes a Decimal, never a float."""
    if text in WORDS:
        return WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _DECIMAL.match(text):
        return Decimal(text)
    if _OCTAL_OR_HEXADECIMAL.match(text):
        return int(text, base=0)
    return text
