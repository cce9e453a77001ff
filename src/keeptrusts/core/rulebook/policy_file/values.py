"""The types of single values in a policy file: amounts, names, addresses, lists of models."""

import re
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from keeptrusts.core.money import BadAmount, nanos_from_usd, pico_per_token

AMOUNT_DIGITS_MAX = 25
"""More digits than any sum of money has; decimal arithmetic would start to round beyond 28."""

ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")


def wrong(code: str, message: str, suggestion: str | None = None) -> PydanticCustomError:
    """An error that carries our own sentence; ``complaints.py`` takes it over as it is."""
    return PydanticCustomError(code, "{message}", {"message": message, "suggestion": suggestion})


def _decimal(value: Any, what: str, example: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise wrong("wrong_type", f"expected {what}", f"for example {example}")
    text = str(value).strip()
    if not re.fullmatch(r"[-+]?[0-9]*\.?[0-9]*([eE][-+]?[0-9]{1,3})?", text) or not re.search("[0-9]", text):
        raise wrong("wrong_type", f"expected {what}, and this is not a number", f"for example {example}")
    number = Decimal(text)
    if len(number.as_tuple().digits) > AMOUNT_DIGITS_MAX or abs(number.adjusted()) > AMOUNT_DIGITS_MAX:
        raise wrong("out_of_range", f"expected {what} of at most {AMOUNT_DIGITS_MAX} digits")
    if number < 0:
        raise wrong("out_of_range", f"{what} cannot be negative", f"for example {example}")
    return number


def _nanos(value: Any) -> int:
    number = _decimal(value, "an amount of USD", "10000 or 99.50")
    try:
        return nanos_from_usd(format(number, "f"))
    except BadAmount as bad:
        raise wrong("out_of_range", str(bad), "an amount has at most nine decimals") from None


def _picos(value: Any) -> int:
    number = _decimal(value, "a price in USD per 1,000 tokens", "0.00015")
    try:
        return pico_per_token(format(number, "f"))
    except BadAmount as bad:
        raise wrong("out_of_range", str(bad), "a price has at most nine decimals") from None


def _float(value: Any) -> Any:
    return float(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def _one_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise wrong("bad_text", "control characters, and blanks at the ends, have no place here")
    return text


def _header_value(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        raise wrong("bad_text", "a key travels in a header: letters, digits and punctuation of ASCII only, no blanks")
    return text


def _environment_name(name: str) -> str:
    if not ENVIRONMENT_NAME.match(name):
        raise wrong(
            "bad_text",
            "expected the name of an environment variable: letters, digits and `_`",
            "write the variable's name, for example OPENAI_API_KEY, and never the secret itself",
        )
    return name


def _web_address(address: str) -> str:
    """http or https, a host, perhaps a port and a path, and nothing more. The message never repeats the address."""
    example = "for example https://api.openai.com/v1"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise wrong("bad_address", "this is not an address", example) from None
    if parts.scheme not in ("http", "https") or not host or not re.fullmatch(r"[!-~]+", address):
        raise wrong("bad_address", "expected an address that begins with http:// or https://", example)
    if parts.username is not None or parts.password is not None:
        raise wrong("bad_address", "an address carries no user name or password", "use secret_key_ref.env")
    if parts.query or parts.fragment:
        raise wrong("bad_address", "an address has no `?` or `#` part here", example)
    return address.rstrip("/")


def _store_address(address: str) -> str:
    """Where a Redis or Valkey answers; a password has no place there. The message never repeats the address."""
    example = "for example redis://valkey.internal:6379/0, or unix:///run/valkey.sock"
    try:
        parts = urlsplit(address)
        host, _, password = parts.hostname, parts.port, parts.password
    except ValueError:
        raise wrong("bad_address", "this is not an address", example) from None
    if parts.scheme not in ("redis", "rediss", "unix") or not re.fullmatch(r"[!-~]+", address):
        raise wrong("bad_address", "expected an address that begins with redis://, rediss:// or unix://", example)
    if password is not None:
        message = "name an environment variable that holds the whole address instead"
        raise wrong("literal_secret", "a password never stands in the file", message)
    if parts.scheme == "unix" and not (parts.path and not host):
        raise wrong("bad_address", "a socket's address is unix:// and an absolute path", example)
    if parts.scheme != "unix" and (not host or not re.fullmatch(r"/?|/[0-9]{1,4}", parts.path)):
        raise wrong("bad_address", "expected a host, perhaps a port, perhaps the number of a database", example)
    if parts.fragment or (parts.query and not (parts.scheme == "unix" and re.fullmatch("db=[0-9]{1,4}", parts.query))):
        raise wrong("bad_address", "nothing may follow in this address", example)
    return address


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise wrong("bad_text", "expected the name of a header: letters, digits, `-` and `_`", "for example x-user-id")
    return name


def _url_path(path: str) -> str:
    if not re.fullmatch(r"/[!-~]*", path):
        raise wrong("bad_text", "a path begins with `/` and has no blanks in it", "for example /models")
    return path


def _models(models: list[str]) -> list[str]:
    if not models:
        raise wrong("empty", "an empty list would refuse every model", "name the models, or leave the key out")
    return models


Count = Annotated[int, Field(ge=1, le=10**12)]
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_one_line)]
KeyText = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_header_value)]
EnvironmentName = Annotated[str, AfterValidator(_environment_name)]
WebAddress = Annotated[str, Field(max_length=2048), AfterValidator(_web_address)]
StoreUrl = Annotated[str, Field(max_length=2048), AfterValidator(_store_address)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
UrlPath = Annotated[str, Field(max_length=1024), AfterValidator(_url_path)]
Models = Annotated[list[Name], AfterValidator(_models)]
Seconds = Annotated[float, BeforeValidator(_float, json_schema_input_type=float), Field(gt=0, le=86_400)]
Fraction = Annotated[float, BeforeValidator(_float, json_schema_input_type=float), Field(ge=0, le=1)]
Weight = Annotated[float, BeforeValidator(_float, json_schema_input_type=float), Field(ge=0, le=1_000_000)]
Likeness = Annotated[float, BeforeValidator(_float, json_schema_input_type=float), Field(gt=0, le=1)]
"""How alike two texts are: 1 is the same."""
NotNegative = Annotated[float, Field(ge=0)]
UsdNanos = Annotated[int, BeforeValidator(_nanos, json_schema_input_type=NotNegative | str)]
"""Written in USD, held in nano-USD."""
PicosPerToken = Annotated[int, BeforeValidator(_picos, json_schema_input_type=NotNegative | str)]
"""Written in USD per 1,000 tokens, held in pico-USD per token."""
