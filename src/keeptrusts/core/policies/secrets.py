"""``secrets``: keys, tokens and passwords that should not leave the house, by the forms that their makers gave them."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints

from keeptrusts.core.policies import kind
from keeptrusts.core.policies.kind import Kind, Rule
from keeptrusts.core.policies.pattern import Pattern
from keeptrusts.core.policies.phrases import Phrases
from keeptrusts.core.policies.plain_words import as_phrase

Secret = Literal[
    "private_key", "aws_access_key", "aws_secret_key", "gcp_api_key", "azure_key", "github_token", "gitlab_token", "slack_token",
    "stripe_key", "openai_key", "anthropic_key", "huggingface_token", "npm_token", "sendgrid_key", "gateway_key", "jwt",
    "connection_string", "password_assignment",
]  # fmt: skip

CodeMark = Annotated[str, StringConstraints(min_length=3, max_length=120)]

ENTROPY_BITS_MIN = 3.0
"""Per character: words of a language have less, drawn letters and digits more."""


def _is_drawn(found: bytes) -> bool:
    """Whether the value of an assignment looks as if it had been drawn at random: of several classes, and without a pattern."""
    value = found.split(b"=", 1)[-1] if b"=" in found else found.split(b":", 1)[-1]
    value = value.strip(b" \t'\"\\;,")
    classes = sum(any(c in group for c in value) for group in (_LOWER, _UPPER, _DIGITS, _SIGNS))
    counts = Counter(value)
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values()) if value else 0.0
    return classes >= 2 and bits >= ENTROPY_BITS_MIN


_LOWER, _UPPER = frozenset(b"abcdefghijklmnopqrstuvwxyz"), frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS, _SIGNS = frozenset(b"0123456789"), frozenset(b"!#$%&*+-/.:?@^_~")


def _token(form: str, loose: bytes, longest: int = 200) -> Pattern:
    return Pattern(rf"\b{form}", loose, longest)


_NAMES = r"(?:api[_-]?key|secret(?:[_-]?key)?|access[_-]?token|auth[_-]?token|client[_-]?secret|passw(?:or)?d|pwd|private[_-]?token)"

FORMS: Mapping[str, Pattern] = {
    "private_key": Pattern(
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        rb"PRIVATE KEY",
        96,
        # The key itself, in lines of Base64, and the headers that may stand before it.
        eats=(rb"(?:[0-9A-Za-z+/=\s:,]|\\[nrt])*", rb"(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"),
    ),
    "aws_access_key": _token(r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b", rb"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}"),
    "aws_secret_key": Pattern(
        r"""(?i:aws.{0,20}(?:secret|key)["' ]{0,3}[:=]{1,2}["' ]{0,3})[0-9A-Za-z/+]{40}\b""", rb"aws", 120, _is_drawn
    ),
    "gcp_api_key": _token(r"AIza[0-9A-Za-z_-]{35}", rb"AIza[0-9A-Za-z_-]{35}"),
    "azure_key": Pattern(
        r"(?:AccountKey|SharedAccessKey)=[0-9A-Za-z+/]{40,100}={0,2}", rb"(?:AccountKey|SharedAccessKey)=", 160
    ),
    "github_token": _token(
        r"(?:gh[pousr]_[0-9A-Za-z]{36,100}|github_pat_[0-9A-Za-z_]{50,100})\b",
        rb"gh[pousr]_[0-9A-Za-z]{36}|github_pat_",
    ),
    "gitlab_token": _token(r"gl(?:pat|dt|rt|cbt|ptt|soat)-[0-9A-Za-z_-]{20,60}", rb"gl[a-z]{2,4}-[0-9A-Za-z_-]{20}"),
    "slack_token": Pattern(
        r"\bxox[abeoprs]-[0-9A-Za-z-]{10,160}\b|https://hooks\.slack\.com/services/[0-9A-Za-z/+]{30,80}",
        rb"xox[abeoprs]-|hooks\.slack\.com",
        200,
    ),
    "stripe_key": _token(r"(?:sk|rk|whsec)_(?:live_|test_)?[0-9A-Za-z]{20,120}\b", rb"(?:sk|rk|whsec)_[0-9a-z_]{20}"),
    "openai_key": _token(
        r"sk-(?:proj-|svcacct-|admin-)[0-9A-Za-z_-]{20,180}|\bsk-[0-9A-Za-z]{20,60}\b", rb"sk-[0-9A-Za-z_-]{20}", 220
    ),
    "anthropic_key": _token(r"sk-ant-[0-9A-Za-z_-]{20,180}", rb"sk-ant-", 220),
    "huggingface_token": _token(r"hf_[A-Za-z]{30,60}\b", rb"hf_[A-Za-z]{30}"),
    "npm_token": _token(r"npm_[0-9A-Za-z]{36}\b", rb"npm_[0-9A-Za-z]{36}"),
    "sendgrid_key": _token(r"SG\.[0-9A-Za-z_-]{16,32}\.[0-9A-Za-z_-]{32,64}", rb"SG\.[0-9A-Za-z_-]{16}"),
    "gateway_key": _token(r"kt_(?:gk|cg|ak)_[0-9A-Za-z_-]{16,120}", rb"kt_(?:gk|cg|ak)_"),
    "jwt": Pattern(
        r"\beyJ[0-9A-Za-z_-]{10,160}\.eyJ[0-9A-Za-z_-]{10}",
        rb"eyJ[0-9A-Za-z_-]{10,}\.eyJ",
        200,
        eats=(rb"[0-9A-Za-z_.-]*", b""),
    ),
    "connection_string": Pattern(
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:@/]{1,64}:[^\s:@/]{3,128}@[0-9A-Za-z.-]{1,128}",
        rb":(?:\\?/){2}[^\s]{1,64}:[^\s]+@",
        240,
    ),
    "password_assignment": Pattern(
        rf"""(?i:\b{_NAMES}["']{{0,2}}\s{{0,3}}[:=]{{1,2}}\s{{0,3}})["']?[0-9A-Za-z!#$%&*+/.:?@^_~-]{{12,100}}["']?""",
        _NAMES.encode(),
        160,
        _is_drawn,
    ),
}


class Settings(kind.Settings):
    """``config`` of a secrets policy. Without ``kinds`` it looks for all of them."""

    kinds: list[Secret] = Field(
        default=list(get_args(Secret)),
        min_length=1,
        validation_alias=kind.either("kinds", "entities", "detect_patterns"),
        examples=["[private_key, aws_access_key]"],
    )
    code_markers: list[CodeMark] = Field(
        default=[],
        max_length=1_000,
        description="Words by which your own sources are known, such as a line of their licence or a package's name.",
        examples=["['Copyright Example Corp', 'CONFIDENTIAL - INTERNAL']"],
    )


def rules(config: Mapping[str, Any], name: str) -> tuple[Rule, ...]:
    """One rule for each kind of secret, and one for all marks of own sources."""
    del name
    settings = Settings.model_validate(config)
    # The key of one maker may begin as another's does: what is longer comes first.
    chosen = sorted(dict.fromkeys(settings.kinds), key=list(_BY_PRECEDENCE).index)
    found = [Rule("secret", each, FORMS[each], f"[{each.upper()}]") for each in chosen]
    if settings.code_markers:
        found.append(
            Rule("secret", "code_marker", Phrases(tuple(map(as_phrase, settings.code_markers))), "[CODE_MARKER]")
        )
    return tuple(found)


_BY_PRECEDENCE = ("anthropic_key", *(name for name in FORMS if name not in ("anthropic_key", "password_assignment")),
                  "password_assignment")  # fmt: skip

KIND = Kind(settings=Settings, rules=rules)
