"""What `kt audit verify` says of a ledger: for people, and for programs."""

from typing import Any

from keeptrusts.cli.audit_check import Check
from keeptrusts.cli.printable import printable
from keeptrusts.core.audit.findings import Report
from keeptrusts.core.money import usd

WORDS = {"event": "events", "ledger_entry": "ledger entries", "audit": "acts"}


def lines(check: Check, report: Report) -> list[str]:
    """Offences first, then what was looked at, then what it is worth."""
    told = [printable(offence.message) for offence in report.offences]
    if report.offence_count > len(report.offences):
        told.append(f"... and {report.offence_count - len(report.offences)} more")
    covered = ", ".join(f"{count} {WORDS[name]}" for name, count in report.covered.items())
    told.append(f"{check.shown}: {report.checkpoints} checkpoint{'s' * (report.checkpoints != 1)} over {covered}")
    uncovered = sum(report.uncovered.values())
    if uncovered:
        told.append(f"not yet covered: {uncovered} rows, which came after the last checkpoint")
    if report.latest is None:
        return [*told, _verdict(report)]
    told.append(f"latest: {report.latest}:{report.latest_hash}")
    if report.pinned:
        told.append(f"signed by keys of {check.keys_from}")
    else:
        told.append(
            "signed by keys that nobody vouches for: whoever changed the ledger may have made them. "
            "Give those that you know with --public-key"
        )
    told.append(_verdict(report))
    return told


def _verdict(report: Report) -> str:
    if report.offence_count:
        return f"NOT as it was signed: {report.offence_count} offence{'s' * (report.offence_count != 1)}"
    if report.latest is None:
        return "no checkpoint yet: nothing is proven" if not report.proven else "empty: nothing to prove"
    return "as it was signed"


def as_json(check: Check, report: Report) -> dict[str, Any]:
    """Everything that was found."""
    return {
        "database": check.shown,
        "proven": report.proven,
        "pinned": report.pinned,
        "checkpoints": report.checkpoints,
        "covered": dict(report.covered),
        "uncovered": dict(report.uncovered),
        "cost_usd": usd(report.cost_nanos),
        "latest": None if report.latest is None else {"number": report.latest, "hash": report.latest_hash},
        "signers": list(report.signers),
        "offence_count": report.offence_count,
        "offences": [
            {
                "fault": offence.fault,
                "table": offence.table,
                "number": offence.number,
                "id": offence.row_id,
                "checkpoint": offence.checkpoint,
                "message": offence.message,
            }
            for offence in report.offences
        ],
    }
