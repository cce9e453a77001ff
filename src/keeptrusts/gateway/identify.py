"""From a request's headers to its caller: which key was sent, whose it is, and whether it may call now and from there."""

import time

from keeptrusts.core.identity.gateway_key import GATEWAY_PREFIX, GROUP_PREFIX, has_valid_checksum
from keeptrusts.core.identity.networks import caller_address, within
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.caller import Caller, Callers
from keeptrusts.gateway.client import Client

_MISSING = Refused(
    Reason.MISSING_KEY,
    "No key was sent: use `Authorization: Bearer kt_gk_...`, or `X-Consumer-Group: kt_cg_...` with a group's key.",
)
_UNKNOWN = Refused(Reason.INVALID_KEY, "This key is not known here. Check that it was copied whole.")
_MALFORMED = Refused(
    Reason.INVALID_KEY, "This is not a Keeptrusts key, or a part of it is missing: it has a wrong checksum."
)
_AMBIGUOUS = Refused(
    Reason.AMBIGUOUS_KEY,
    "Two different keys were sent: send one, in `Authorization`, `x-api-key` or `X-Consumer-Group`.",
)
_ELSEWHERE = Refused(Reason.IP_NOT_ALLOWED, "This key may not be used from this address.")

_OURS = (GATEWAY_PREFIX.encode(), GROUP_PREFIX.encode())


def identify(callers: Callers, client: Client) -> tuple[Caller, Refused | None]:
    """The caller that the credential in the headers stands for, and why it may not call now, if so.

    Raises Refused for a credential that nobody here has, or two of them; no message repeats it.
    """
    headers = client.headers
    key = headers.get(b"x-consumer-group")
    bearer = headers.get(b"authorization")
    api_key = headers.get(b"x-api-key")
    if bearer is not None:
        bearer = bearer[7:].strip() if bearer[:7].lower() == b"bearer " else b""
        if not key:
            key = bearer
        elif bearer != key:
            _refuse_second(callers, bearer)
    if api_key is not None:
        if not key:
            key = api_key
        elif api_key != key:
            _refuse_second(callers, api_key)
    if key is None:
        raise _MISSING.again()
    caller = callers.find(key)
    if caller is None:
        raise _unknown(key)
    if caller.expires_at is not None and caller.expires_at <= time.time():
        return caller, caller.ended
    if caller.places is not None and caller.refusal is None:
        forwarded_for = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        address = caller_address(client.peer, forwarded_for, callers.proxies)
        if not all(within(address, place) for place in caller.places):
            return caller, _ELSEWHERE
    return caller, caller.refusal


def _refuse_second(callers: Callers, key: bytes) -> None:
    """Raises Refused when a second header holds a key of ours too: whose call it is would be a guess. What else an application
    sends there, as an SDK does that wants something to send, is nobody's key."""
    if key.startswith(_OURS) or callers.find(key) is not None:
        raise _AMBIGUOUS.again()


def _unknown(key: bytes) -> Refused:
    text = key.decode("latin-1")
    if text.startswith((GATEWAY_PREFIX, GROUP_PREFIX)) and has_valid_checksum(text):
        return _UNKNOWN.again()
    return _MALFORMED.again() if text.startswith(GATEWAY_PREFIX) else _UNKNOWN.again()
