"""What `kt ledger verify` does and says: the examination of a ledger, as lines and as JSON."""

import asyncio
from pathlib import Path

from keeptrusts.cli.audit_check import Check, asked_check
from keeptrusts.cli.columns import columns
from keeptrusts.cli.failure import CANNOT_ASK, Failure
from keeptrusts.cli.printable import printable
from keeptrusts.clock import SystemClock
from keeptrusts.control.chain import chain_verdicts
from keeptrusts.control.examination import examine
from keeptrusts.control.inspecting import inspect
from keeptrusts.core.ledger.invariants.findings import SENTENCES, Verdicts, as_json
from keeptrusts.store.contracts import StoreAway
from keeptrusts.store.migrate import UnknownSchema
from keeptrusts.store.postgres import DatabaseUrlInvalid
from keeptrusts.store.reading import ledger_at

SAID = {True: "yes", False: "NO", None: "unseen"}
"""What is said of an invariant that holds, that does not, and that not everything was looked at for."""


def examined(home: Path, database: str | None, at_rest: bool) -> Verdicts:
    """The ledger in a file or at a URL, by default that of the data directory ``home``. Raises Failure."""
    return asyncio.run(_examined(asked_check(home, database, None, ()), at_rest))


async def _examined(check: Check, at_rest: bool) -> Verdicts:
    try:
        async with ledger_at(check.place) as store:
            verdicts = await examine(store, SystemClock().unix_ns(), at_rest)
            verdicts.include(chain_verdicts(await inspect(store, check.trusted, check.witnesses)))
            return verdicts
    except (StoreAway, UnknownSchema, DatabaseUrlInvalid) as trouble:
        raise Failure(f"cannot verify {check.shown}: {trouble}", CANNOT_ASK) from None


def report(verdicts: Verdicts) -> str:
    """A line for each invariant, then what breaks them, then what is worth knowing."""
    rows = [(it.invariant, SAID[it.ok], f"{it.checked:,}", SENTENCES[it.invariant]) for it in verdicts.all]
    lines = [columns(("", "Holds", "Checked", "Invariant"), rows)]
    for verdict in verdicts.all:
        lines += [f"  {verdict.invariant}: {printable(str(finding))}" for finding in verdict.findings]
        if verdict.broken > len(verdict.findings):
            lines.append(f"  {verdict.invariant}: and {verdict.broken - len(verdict.findings):,} more")
    lines += [f"  {it.invariant}: {count:,} {what}" for it in verdicts.all for what, count in it.notes.items()]
    return "\n".join([*lines, _last_line(verdicts)])


def _last_line(verdicts: Verdicts) -> str:
    if verdicts.broken:
        broken = ", ".join(it.invariant for it in verdicts.all if it.broken)
        return f"The ledger does NOT hold: {verdicts.broken:,} finding{'s' * (verdicts.broken != 1)} ({broken})."
    unseen = [it.invariant for it in verdicts.all if it.ok is None]
    return "The ledger holds." + (f" Nothing is known of {', '.join(unseen)} yet." if unseen else "")


def for_programs(verdicts: Verdicts) -> dict[str, object]:
    """The same, to be written as JSON."""
    return {"ok": not verdicts.broken, "invariants": [as_json(verdict) for verdict in verdicts.all]}
