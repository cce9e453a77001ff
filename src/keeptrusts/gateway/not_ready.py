"""Why a gateway serves nothing now: as a whole, whoever calls."""

from keeptrusts.core.refusal import Reason, Refused

STARTING = Refused(Reason.NOT_READY, "The gateway is starting: it has no rules and keys yet.")
STALE = Refused(
    Reason.NOT_READY, "The gateway has not heard from the control plane for too long: its keys may be out of date."
)
RETIRED = Refused(Reason.NOT_READY, "This gateway was retired by an operator, and is about to end.")
