"""Personal data is found by its form, and only where its check digits are right."""

import pytest
from pydantic import ValidationError

from keeptrusts.core.policies.judge import compile_policies
from keeptrusts.core.policies.pii import rules
from keeptrusts.core.policies.scanner import read_whole
from tests.core.policies.written import Written, call_body

FOUND = {
    "email": ["bob@example.com", "a.b+c@mail.example.co.uk", "müller@exämple.de", "<x_y@z.io>"],
    "phone": ["+1 415 555 2671", "+44 20 7946 0958", "0049 30 901820", "(415) 555-2671", "+8613800138000"],
    "credit_card": [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "5555555555554444",
        "3782 822463 10005",
        "378282246310005",
    ],
    "iban": ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "FR14 2004 1010 0505 0001 3M02 606"],
    "ip_address": ["192.168.1.17", "8.8.8.8", "2001:db8::8a2e:370:7334", "fe80::1ff:fe23:4567:890a"],
    "us_ssn": ["536-90-4399", "536 90 4399"],
    "us_itin": ["912-90-3456"],
    "ca_sin": ["123-456-782", "123 456 782"],
    "mx_curp": ["BOXW310820HNERXN09"],
    "br_cpf": ["390.533.447-05", "39053344705"],
    "uk_nino": ["AB 12 34 56 C", "AB123456C"],
    "uk_nhs": ["943 476 5870"],
    "de_tax_id": ["36 574 261 809", "36574261809"],
    "fr_nir": ["2 95 10 99 126 111 93"],
    "es_dni": ["54362315-K", "54362315K"],
    "es_nie": ["X-2482300W", "X2482300W"],
    "it_codice_fiscale": ["RCCMNL83S18D969H"],
    "nl_bsn": ["111222333", "1112.22.333"],
    "be_nn": ["85.07.30-033.28", "85073003328"],
    "ch_ahv": ["756.9217.0769.85", "7569217076985"],
    "se_personnummer": ["880320-0016", "19880320-0016"],
    "fi_hetu": ["131052-308T"],
    "pl_pesel": ["44051401359"],
    "tr_tckn": ["17291716060"],
    "cn_ric": ["360426199101010071"],
    "kr_rrn": ["971013-9019902"],
    "in_aadhaar": ["2341 2341 2346"],
    "in_pan": ["ACUPA7085R"],
    "au_tfn": ["123 456 782"],
}

# What has the form, or nearly, and is something else.
SPARED = {
    "email": ["user at example.com", "@handle", "a@b", "v1.2@3"],
    "phone": ["order 4155552671", "2024-11-25 10:30", "1.234.567", "call 12345", "+1 999 999 9999"],
    "credit_card": [
        "4111 1111 1111 1112",
        "1234 5678 9012 3456",
        "0000000000000000",
        "x4111111111111111",
        "41111111111111110000",
    ],
    "iban": ["GB82 WEST 1234 5698 7654 33", "AB12CDEF3456GHIJ", "XX00 1234 5678 9012"],
    "ip_address": ["1.2.3", "999.1.1.1", "127.0.0.1", "::1", "10:30:45", "v1.2.3.4.5x"],
    "us_ssn": ["123456789", "000-12-3456", "666-12-3456", "555-1234-567"],
    "nl_bsn": ["111222334"],
    "es_dni": ["54362315A"],
    "de_tax_id": ["36574261808"],
    "cn_ric": ["360426199101010072"],
    "uk_nino": ["GB123456C", "AB123456E"],
}


def judged(entity, text):
    judge = compile_policies([Written("redact", {"entities": [entity]}, "pii", "pii")])
    return judge, read_whole(judge.rule_set, text)


@pytest.mark.parametrize(("entity", "text"), [(entity, text) for entity, texts in FOUND.items() for text in texts])
def test_what_is_somebodys_is_found_and_a_marker_stands_in_its_place(entity, text):
    judge, (told, scanner) = judged(entity, f"It is {text}, they said.")
    assert scanner.met == {0}
    assert text.strip("<>") not in told
    assert f"[{entity.upper()}]" in told
    body = call_body(f"It is {text}, they said.")
    assert not judge.passes(body), "the quick search must not overlook it"


@pytest.mark.parametrize(("entity", "text"), [(entity, text) for entity, texts in SPARED.items() for text in texts])
def test_what_only_looks_like_it_is_spared(entity, text):
    _, (told, scanner) = judged(entity, f"It is {text}, they said.")
    assert (told, scanner.met) == (f"It is {text}, they said.", set())


def test_an_address_takes_no_words_of_scripts_without_blanks():
    _, (told, _) = judged("email", "我的邮箱是bob@example.com谢谢")
    assert told == "我的邮箱是[EMAIL]谢谢"


def test_without_settings_it_looks_for_what_is_plainly_personal():
    labels = [rule.label for rule in rules({}, "p")]
    assert labels == ["email", "phone", "credit_card", "iban", "us_ssn"]


def test_a_marker_is_what_the_user_writes():
    judge = compile_policies([Written("redact", {"entities": ["email"], "markers": {"email": "<mail>"}}, "p", "pii")])
    assert judge.check_texts(["to bob@example.com"]).redacted == {"to bob@example.com": "to <mail>"}


def test_numbers_without_a_country_are_known_where_they_are_dialled():
    for region, met in ((["GB"], {0}), (["US"], set())):
        judge = compile_policies([Written("flag", {"entities": ["phone"], "phone_regions": region}, "p", "pii")])
        assert read_whole(judge.rule_set, "ring 020 7946 0958 now")[1].met == met


@pytest.mark.parametrize(
    "config", [{"entities": []}, {"entities": ["name"]}, {"markers": {"email": 'a"b'}}, {"phone_regions": ["USA"]}]
)
def test_a_config_that_means_nothing_is_refused(config):
    with pytest.raises(ValidationError):
        rules(config, "p")
