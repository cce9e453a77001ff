"""Every check of python-stdnum that policies use, by the name that ``pii_checks`` has for it. To import it takes a while."""

from collections.abc import Callable, Mapping

from stdnum import iban as iban_number
from stdnum.au import tfn as au_tfn
from stdnum.be import nn as be_nn
from stdnum.br import cpf as br_cpf
from stdnum.ca import sin as ca_sin
from stdnum.ch import ssn as ch_ssn
from stdnum.cn import ric as cn_ric
from stdnum.de import idnr as de_idnr
from stdnum.es import dni as es_dni
from stdnum.es import nie as es_nie
from stdnum.fi import hetu as fi_hetu
from stdnum.fr import nir as fr_nir
from stdnum.gb import nhs as gb_nhs
from stdnum.in_ import aadhaar as in_aadhaar
from stdnum.in_ import pan as in_pan
from stdnum.it import codicefiscale as it_codicefiscale
from stdnum.kr import rrn as kr_rrn
from stdnum.mx import curp as mx_curp
from stdnum.nl import bsn as nl_bsn
from stdnum.pl import pesel as pl_pesel
from stdnum.se import personnummer as se_personnummer
from stdnum.tr import tckimlik as tr_tckimlik
from stdnum.us import itin as us_itin
from stdnum.us import ssn as us_ssn

IS_VALID: Mapping[str, Callable[[str], bool]] = {
    "iban_number": iban_number.is_valid,
    "au_tfn": au_tfn.is_valid,
    "be_nn": be_nn.is_valid,
    "br_cpf": br_cpf.is_valid,
    "ca_sin": ca_sin.is_valid,
    "ch_ssn": ch_ssn.is_valid,
    "cn_ric": cn_ric.is_valid,
    "de_idnr": de_idnr.is_valid,
    "es_dni": es_dni.is_valid,
    "es_nie": es_nie.is_valid,
    "fi_hetu": fi_hetu.is_valid,
    "fr_nir": fr_nir.is_valid,
    "gb_nhs": gb_nhs.is_valid,
    "in_aadhaar": in_aadhaar.is_valid,
    "in_pan": in_pan.is_valid,
    "it_codicefiscale": it_codicefiscale.is_valid,
    "kr_rrn": kr_rrn.is_valid,
    "mx_curp": mx_curp.is_valid,
    "nl_bsn": nl_bsn.is_valid,
    "pl_pesel": pl_pesel.is_valid,
    "se_personnummer": se_personnummer.is_valid,
    "tr_tckimlik": tr_tckimlik.is_valid,
    "us_itin": us_itin.is_valid,
    "us_ssn": us_ssn.is_valid,
}
