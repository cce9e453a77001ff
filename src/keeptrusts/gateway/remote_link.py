"""The link over HTTP: JSON of ``core/link.py``'s values, journal groups as they are, one small client underneath."""

from typing import TypeVar

import msgspec

from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.ticket import EscalationRequest, TicketAnswer, TicketLeft, TicketRequest
from keeptrusts.core.link import Changes, Heartbeat, Lost, Registered, Registration, Shipped, Snapshot
from keeptrusts.gateway.exchange import Reply, UpstreamFailed
from keeptrusts.gateway.link import LinkDown, LinkRefused, SequenceGap
from keeptrusts.gateway.upstream import Origin

ANSWER_TIMEOUT_S = 15.0

T = TypeVar("T")


class RemoteLink:
    """Speaks to ``kt api run``. ``token`` is the operator's, used to register; then the node's own replaces it."""

    def __init__(self, url: str, token: str) -> None:
        self._origin = Origin(url, connect_timeout_s=3.0, first_byte_timeout_s=ANSWER_TIMEOUT_S, idle_timeout_s=15.0)
        self._operator_token = token
        self._token = token

    async def register(self, registration: Registration) -> Registered:
        """See Link."""
        self._token = self._operator_token
        registered = await self._post("/v1/gateway/register", msgspec.json.encode(registration), Registered)
        self._token = registered.node_token
        return registered

    async def introduce(self, registration: Registration) -> None:
        """See Link."""
        await self._post("/v1/gateway/introduction", msgspec.json.encode(registration), Registration)

    async def snapshot(self) -> Snapshot:
        """See Link."""
        return self._read(await self._exchange("GET", "/v1/gateway/snapshot", b"", {}), Snapshot)

    async def changes(self, heartbeat: Heartbeat) -> Changes:
        """See Link."""
        return await self._post("/v1/gateway/heartbeat", msgspec.json.encode(heartbeat), Changes)

    async def grant(self, request: GrantRequest) -> GrantAnswer:
        """See Link."""
        return await self._post("/v1/gateway/leases", msgspec.json.encode(request), GrantAnswer)

    async def ticket(self, request: TicketRequest) -> TicketAnswer:
        """See Link."""
        return await self._post("/v1/gateway/tickets", msgspec.json.encode(request), TicketAnswer)

    async def escalation(self, request: EscalationRequest) -> TicketAnswer:
        """See Link."""
        return await self._post("/v1/gateway/escalations", msgspec.json.encode(request), TicketAnswer)

    async def leave_ticket(self, left: TicketLeft) -> None:
        """See Link."""
        await self._post("/v1/gateway/tickets/leave", msgspec.json.encode(left), TicketLeft)

    async def ship(self, groups: bytes, first_seq: int, previous_chain: bytes) -> Shipped:
        """See Link."""
        headers = {"x-journal-first-seq": str(first_seq), "x-journal-previous-chain": previous_chain.hex()}
        reply = await self._exchange("POST", "/v1/gateway/batches", groups, headers, "application/octet-stream")
        if reply.status == 409:
            raise SequenceGap(_applied_seq(reply.body))
        return self._read(reply, Shipped)

    async def report_lost(self, lost: Lost) -> None:
        """See Link."""
        await self._post("/v1/gateway/lost", msgspec.json.encode(lost), Lost)

    def close(self) -> None:
        """Closes the connections."""
        self._origin.close()

    async def _post(self, path: str, body: bytes, kind: type[T]) -> T:
        return self._read(await self._exchange("POST", path, body, {}), kind)

    async def _exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str], media_type: str = "application/json"
    ) -> Reply:
        head = {"authorization": f"Bearer {self._token}", "content-type": media_type, **headers}
        try:
            return await self._origin.call(method, path, head, body)
        except UpstreamFailed as error:
            raise LinkDown(f"the API at {self._origin.url} can't be reached: {error}") from None

    def _read(self, reply: Reply, kind: type[T]) -> T:
        if reply.status >= 500:
            raise LinkDown(f"the API answered {reply.status}: {_message(reply.body)}")
        if reply.status >= 400:
            raise LinkRefused(reply.status, _message(reply.body))
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except msgspec.DecodeError as error:
            raise LinkDown(f"the API's answer can't be read: {error}") from None


class _Error(msgspec.Struct):
    message: str = ""
    details: dict[str, object] = {}


class _Envelope(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


def _envelope(body: bytes) -> _Error:
    try:
        return msgspec.json.decode(body, type=_Envelope).error
    except msgspec.DecodeError:
        return _Error(message=body[:200].decode("utf-8", "replace"))


def _message(body: bytes) -> str:
    return _envelope(body).message


def _applied_seq(body: bytes) -> int:
    seq = _envelope(body).details.get("last_seq", 0)
    return seq if isinstance(seq, int) else 0
