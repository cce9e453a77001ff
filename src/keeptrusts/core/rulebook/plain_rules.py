"""Rules as plain values that may be shown to anybody: no group key, no password in an address."""

import re
from typing import Any

import msgspec

from keeptrusts.core.rulebook.rulebook import Rulebook

HIDDEN = "***"
SECRET_KEYS = frozenset({"api_key", "secret", "token", "password"})
"""Names of values that are never shown, wherever they stand."""

CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def plain_rules(rulebook: Rulebook) -> dict[str, Any]:
    """The rules as JSON can hold them; of a secret it only says that there is one. Sets are sorted."""
    plain = msgspec.to_builtins(rulebook, builtin_types=(bytes,), order="sorted", str_keys=True)
    shown: dict[str, Any] = _shown(plain)
    return shown


def without_credentials(text: str) -> str:
    """The text; whoever signs in within an address there is not named."""
    return CREDENTIALS.sub(f"{HIDDEN}@", text)


def _shown(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _shown(inner, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    if key in SECRET_KEYS and value is not None:
        return HIDDEN
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return without_credentials(value) if isinstance(value, str) else value
