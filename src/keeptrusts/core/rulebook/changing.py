"""What of new rules a running gateway can take over, and what has to wait for its next start."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from keeptrusts.core.rulebook.rulebook import Rulebook

AT_START: Mapping[str, str] = {
    "admin": "admin",
    "api": "api",
    "durability": "gateway.durability",
    "journal_retention_s": "gateway.journal_retention_s",
    "telemetry": "telemetry",
}
"""Settings that the journal, the link, the admin listener and what tells of calls are made with, and how the policy file calls them."""


class NeedsRestart(Exception):
    """The new rules make no sense without what only a start can change; the message says what."""


class Takeover(Struct, frozen=True):
    """``rulebook`` can be in force at once; ``waiting`` names the settings that stay as they were until the next start."""

    rulebook: Rulebook
    waiting: tuple[str, ...] = ()


def takeover(running: Rulebook, wanted: Rulebook) -> Takeover:
    """Of ``wanted`` what a gateway that was started with ``running`` can go by. Raises NeedsRestart."""
    if running.api is None and wanted.wallet_enforcement:
        raise NeedsRestart(
            "`wallet_enforcement: true` needs the control plane, and this gateway was started without `api`: restart it"
        )
    waiting = tuple(name for field, name in AT_START.items() if getattr(running, field) != getattr(wanted, field))
    kept = {field: getattr(running, field) for field in AT_START}
    if running.limits.store != wanted.limits.store:
        waiting += ("limits.store",)
        kept["limits"] = replace(wanted.limits, store=running.limits.store)
    return Takeover(replace(wanted, **kept), waiting)
