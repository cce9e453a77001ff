"""The forms of numbers that people are known by, and whether something of such a form can be one."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from msgspec import Struct

Accept = Callable[[bytes], bool]

_DATE = re.compile(r"(?:19|20)[0-9]{2}([-/.])[01]?[0-9]\1[0-3]?[0-9]")

REMEMBERED = 4_096


class Form(Struct, frozen=True):
    """``form`` in RE2's syntax; ``digits``: digits and what groups them, nothing else."""

    form: str
    accept: Accept
    digits: bool = True


def _by_library(name: str) -> Accept:
    """Valid by the library's module of this name. It is loaded when something of its form is met first, or by ``load``."""

    @lru_cache(maxsize=REMEMBERED)
    def accept(found: bytes) -> bool:
        from keeptrusts.core.policies.national_numbers import IS_VALID

        return bool(IS_VALID[name](found.decode()))

    return accept


def load() -> None:
    """Loads what the checks need, which takes a while, so that no call waits for it."""
    import phonenumbers

    from keeptrusts.core.policies import national_numbers

    del phonenumbers, national_numbers


@lru_cache(maxsize=REMEMBERED)
def is_card(found: bytes) -> bool:
    """The check digit of ISO/IEC 7812 (Luhn), and not all digits alike."""
    digits = [digit - 48 for digit in found if 48 <= digit <= 57]
    if len(set(digits)) == 1:
        return False
    doubled = [(digit * 2 - 9 if digit > 4 else digit * 2) for digit in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def is_iban(found: bytes) -> bool:
    """See ISO 13616: the country's length, and the check digits."""
    return _iban(found.replace(b" ", b"").replace(b"-", b""))


_iban = _by_library("iban_number")


def is_ip_address(found: bytes) -> bool:
    """An address of a host, neither of this machine nor nobody's."""
    try:
        address = ipaddress.ip_address(found.decode())
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


@lru_cache(maxsize=64)
def is_phone(regions: tuple[str, ...]) -> Accept:
    """Valid with a country code, or in one of the regions without it."""

    @lru_cache(maxsize=REMEMBERED)
    def accept(found: bytes) -> bool:
        # What is known of every country's numbers takes a while to load: nobody waits for it who has none.
        import phonenumbers

        text = found.decode()
        if text.startswith("00"):
            text = "+" + text[2:]
        if not text.startswith("+") and (text.isdigit() or _DATE.match(text)):
            # A bare run of digits is a number of something far more often than a telephone's.
            return False
        for region in (None,) if text.startswith("+") else regions:
            try:
                if phonenumbers.is_valid_number(phonenumbers.parse(text, region)):
                    return True
            except phonenumbers.NumberParseException:
                continue
        return False

    return accept


CARD = Form(
    # Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay: in one run, or in the groups that are printed.
    r"\b(?:[3-6][0-9]{12,18}|[3-6][0-9]{3}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{1,3})?|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5})\b",
    is_card,
)

_ssn = _by_library("us_ssn")
_itin = _by_library("us_itin")

NATIONAL: Mapping[str, Form] = {
    "us_ssn": Form(r"\b[0-8][0-9]{2}[ -][0-9]{2}[ -][0-9]{4}\b", lambda found: _ssn(found.replace(b" ", b"-"))),
    "us_itin": Form(r"\b9[0-9]{2}[ -][0-9]{2}[ -][0-9]{4}\b", lambda found: _itin(found.replace(b" ", b"-"))),
    "ca_sin": Form(r"\b[1-9][0-9]{2}[ -][0-9]{3}[ -][0-9]{3}\b", _by_library("ca_sin")),
    "mx_curp": Form(r"\b[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]\b", _by_library("mx_curp"), digits=False),
    "br_cpf": Form(r"\b[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}\b", _by_library("br_cpf")),
    "uk_nino": Form(
        r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b",
        lambda found: found[:2] not in (b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"),
        digits=False,
    ),
    "uk_nhs": Form(r"\b[0-9]{3}[ -][0-9]{3}[ -][0-9]{4}\b", _by_library("gb_nhs")),
    "de_tax_id": Form(r"\b[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b", _by_library("de_idnr")),
    "fr_nir": Form(
        r"\b[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
        _by_library("fr_nir"),
        digits=False,
    ),
    "es_dni": Form(r"\b[0-9]{8}-?[A-Z]\b", _by_library("es_dni"), digits=False),
    "es_nie": Form(r"\b[XYZ]-?[0-9]{7}-?[A-Z]\b", _by_library("es_nie"), digits=False),
    "it_codice_fiscale": Form(
        r"\b[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b",
        _by_library("it_codicefiscale"),
        digits=False,
    ),
    "nl_bsn": Form(r"\b[0-9]{9}\b|\b[0-9]{4}[ .][0-9]{2}[ .][0-9]{3}\b", _by_library("nl_bsn")),
    "be_nn": Form(r"\b[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}\b|\b[0-9]{11}\b", _by_library("be_nn")),
    "ch_ahv": Form(r"\b756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}\b|\b756[0-9]{10}\b", _by_library("ch_ssn")),
    "se_personnummer": Form(r"\b(?:[0-9]{2})?[0-9]{6}[+-][0-9]{4}\b", _by_library("se_personnummer")),
    "fi_hetu": Form(r"\b[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-Z]\b", _by_library("fi_hetu"), digits=False),
    "pl_pesel": Form(r"\b[0-9]{11}\b", _by_library("pl_pesel")),
    "tr_tckn": Form(r"\b[1-9][0-9]{10}\b", _by_library("tr_tckimlik")),
    "cn_ric": Form(r"\b[1-8][0-9]{16}[0-9X]\b", _by_library("cn_ric"), digits=False),
    "kr_rrn": Form(r"\b[0-9]{6}-[0-9]{7}\b", _by_library("kr_rrn")),
    "in_aadhaar": Form(r"\b[2-9][0-9]{3} ?[0-9]{4} ?[0-9]{4}\b", _by_library("in_aadhaar")),
    "in_pan": Form(r"\b[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z]\b", _by_library("in_pan"), digits=False),
    "au_tfn": Form(r"\b[0-9]{3} [0-9]{3} [0-9]{2,3}\b", _by_library("au_tfn")),
}
"""Numbers that states give to people, by their entity's name."""
