"""``pii``: personal data that has a form of its own: addresses, telephone and card numbers, numbers that states and banks give.

A form is checked by its check digits where it has any. Names, street addresses and dates of birth have no form, and are not
found.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints

from keeptrusts.core.policies import kind
from keeptrusts.core.policies.kind import Kind, Rule
from keeptrusts.core.policies.pattern import Pattern
from keeptrusts.core.policies.pii_checks import CARD, NATIONAL, is_iban, is_ip_address, is_phone, load

NationalId = Literal[
    "us_ssn", "us_itin", "ca_sin", "mx_curp", "br_cpf", "uk_nino", "uk_nhs", "de_tax_id", "fr_nir", "es_dni", "es_nie",
    "it_codice_fiscale", "nl_bsn", "be_nn", "ch_ahv", "se_personnummer", "fi_hetu", "pl_pesel", "tr_tckn", "cn_ric",
    "kr_rrn", "in_aadhaar", "in_pan", "au_tfn",
]  # fmt: skip
Entity = Literal["email", "phone", "credit_card", "iban", "ip_address", NationalId]

USUAL: tuple[Entity, ...] = ("email", "phone", "credit_card", "iban", "us_ssn")

Marker = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    kind.matching(
        r'[^"\\\x00-\x1f\x7f]+', "bad_marker", "a marker holds no quotes and no backslashes", "for example `[REDACTED]`"
    ),
]
"""What may stand in a JSON text as it is."""

Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class Settings(kind.Settings):
    """``config`` of a pii policy."""

    entities: list[Entity] = Field(
        default=list(USUAL),
        min_length=1,
        validation_alias=kind.either("entities", "detect_patterns"),
        description="What to look for.",
        examples=["[email, phone, credit_card]"],
    )
    phone_regions: list[Region] = Field(
        default=["US"],
        max_length=8,
        description="Countries whose telephone numbers are known without their country code.",
        examples=["[US, GB]"],
    )
    markers: dict[Entity, Marker] = Field(
        default={},
        validation_alias=kind.either("markers", "custom_markers"),
        description="What stands in the place of what is redacted; `[EMAIL]` and its like where nothing is said.",
        examples=["{email: '<email>'}"],
    )


NUMBER = rb"[0-9][0-9 ().\\/-]{4,}[0-9]"
"""Loose: any number of six digits or more, however it is grouped."""

IBAN = r"\b[A-Z]{2}[0-9]{2}(?:[ -]?[0-9A-Z]{4}){2,7}(?:[ -]?[0-9A-Z]{1,3})?\b"
_LETTER = r"0-9A-Za-z\x{C0}-\x{24F}\x{370}-\x{52F}"
"""Of alphabets that put blanks between words: in others nobody could say where an address begins."""
EMAIL = (
    rf"[{_LETTER}_][{_LETTER}._%+'-]{{0,63}}@(?:[{_LETTER}](?:[{_LETTER}-]{{0,61}}[{_LETTER}])?\.){{1,4}}"
    r"[A-Za-z\x{C0}-\x{24F}\x{370}-\x{52F}]{2,24}"
)
PHONE = r"(?:\+|\b00|\(|\b)[0-9](?:[ ().\/-]{0,3}[0-9]){6,14}\b"
IPV4 = r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b"
IPV6 = r"\b[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){1,6}:[0-9A-Fa-f]{1,4}\b"

_FORMS: Mapping[str, Pattern] = {
    "email": Pattern(EMAIL, rb"[0-9a-z._%+'-]@[0-9a-z]", 160),
    "phone": Pattern(PHONE, NUMBER, 64, is_phone(("US",))),
    "credit_card": Pattern(CARD.form, NUMBER, 32, CARD.accept),
    "iban": Pattern(IBAN, rb"[a-z]{2}[0-9]{2}[ -]?[0-9a-z]{4}", 48, is_iban),
    "ip_address": Pattern(f"{IPV4}|{IPV6}", rb"[0-9]\.[0-9]|[0-9a-f]:[0-9a-f]|::", 48, is_ip_address),
    **{
        name: Pattern(each.form, NUMBER if each.digits else each.form.encode(), 32, each.accept)
        for name, each in NATIONAL.items()
    },
}


def rules(config: Mapping[str, Any], name: str) -> tuple[Rule, ...]:
    """One rule for each entity, in the order of the config."""
    del name
    settings = Settings.model_validate(config)
    if not {"email", "credit_card", "ip_address"}.issuperset(settings.entities):
        load()
    found = []
    for entity in dict.fromkeys(settings.entities):
        sought = _FORMS[entity]
        if entity == "phone":
            sought = Pattern(PHONE, NUMBER, 64, is_phone(tuple(settings.phone_regions)))
        found.append(Rule("pii", entity, sought, settings.markers.get(entity, f"[{entity.upper()}]")))
    return tuple(found)


KIND = Kind(settings=Settings, rules=rules)

assert set(get_args(NationalId)) == set(NATIONAL)
