"""L10: what the checkpoints prove, said as the other invariants are."""

from keeptrusts.core.audit.findings import Report
from keeptrusts.core.ledger.invariants.findings import Finding, Verdicts


def chain_verdicts(report: Report) -> Verdicts:
    """An inspection of all checkpoints as the verdict on L10. Without one checkpoint nothing is proven, nor broken."""
    verdicts = Verdicts()
    verdicts.checked("L10", sum(report.covered.values()))
    for offence in report.offences:
        name = f"{offence.table} {offence.number}" + (f" ({offence.row_id})" if offence.row_id else "")
        verdicts.find([Finding("L10", name, offence.message)])
    verdicts["L10"].broken = report.offence_count
    verdicts.note("L10", "rows that no checkpoint covers yet", sum(report.uncovered.values()))
    if report.latest is not None or not any(report.uncovered.values()):
        verdicts.complete("L10")
    return verdicts
