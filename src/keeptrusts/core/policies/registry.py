"""The kinds of policy that a file may name in ``type``: a new kind is a file beside this one and a line in this table."""

from collections.abc import Mapping

from keeptrusts.core.policies import (
    content_filter,
    data_residency,
    external,
    keyword,
    max_input_tokens,
    model_allowlist,
    pii,
    prompt_injection,
    regex,
    secrets,
    tool_allowlist,
)
from keeptrusts.core.policies.kind import Kind

NAMES: Mapping[str, Kind] = {
    "content_filter": content_filter.KIND,
    "pii": pii.KIND,
    "secrets": secrets.KIND,
    "prompt_injection": prompt_injection.KIND,
    "keyword": keyword.KIND,
    "regex": regex.KIND,
    "model_allowlist": model_allowlist.KIND,
    "max_input_tokens": max_input_tokens.KIND,
    "tool_allowlist": tool_allowlist.KIND,
    "data_residency": data_residency.KIND,
    "external": external.KIND,
}
"""By the usual name of each."""

ALIASES: Mapping[str, str] = {
    "pii_detector": "pii",
    "pii_redaction": "pii",
    "dlp": "secrets",
    "dlp_filter": "secrets",
    "injection_defense": "prompt_injection",
}
"""What others call them."""

KINDS: Mapping[str, Kind] = {
    spelled: NAMES[ALIASES.get(name, name)] for name in (*NAMES, *ALIASES) for spelled in (name, name.replace("_", "-"))
}
"""By every name, with dashes or underscores."""
