"""Every route of the API, in one list: address, who may use it, and what it answers."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from pydantic import BaseModel

from keeptrusts.api.access import Permission
from keeptrusts.api.resources import (
    audit,
    cost_tickets,
    events,
    gateway,
    gateway_config,
    gateways,
    health,
    ledger,
    metrics,
    model_pricing,
    recovery,
    suspense,
    teams,
    tokens,
    wallet_shapes,
    wallets,
)
from keeptrusts.api.resources.token_shapes import IssuedToken, Token, TokenPage


class Route(Struct, frozen=True):
    """``shape`` documents the answer; None leaves the route out of ``/openapi.json``. ``documented`` adds to what stands there."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    permission: Permission
    shape: type[BaseModel] | Any | None = None
    status: int = 200
    documented: dict[str, Any] | None = None


ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthz", health.healthz, "open", health.Health),
    Route("GET", "/readyz", health.readyz, "open", health.Health),
    Route("POST", "/v1/tokens", tokens.create, "operate", IssuedToken, 201),
    Route("GET", "/v1/tokens", tokens.list_tokens, "operate", TokenPage),
    Route("GET", "/v1/tokens/{token_id}", tokens.get, "operate", Token),
    Route("PATCH", "/v1/tokens/{token_id}", tokens.patch, "operate", Token),
    Route("POST", "/v1/tokens/{token_id}/rotate", tokens.rotate, "operate", IssuedToken),
    Route("DELETE", "/v1/tokens/{token_id}", tokens.delete, "operate", Token),
    Route("GET", "/v1/wallets", wallets.list_wallets, "operate", wallet_shapes.WalletPage),
    Route("POST", "/v1/wallets/allocate", wallets.allocate, "operate", wallet_shapes.BalanceShape),
    Route("POST", "/v1/wallets/credit", wallets.credit, "operate", wallet_shapes.BalanceShape),
    Route("POST", "/v1/wallets/reclaim", wallets.reclaim, "operate", wallet_shapes.BalanceShape),
    Route("POST", "/v1/wallets/transfer", wallets.transfer, "operate", wallet_shapes.TransferShape),
    Route("POST", "/v1/wallets/{wallet_id}/freeze", wallets.freeze, "operate", wallet_shapes.WalletShape),
    Route("POST", "/v1/wallets/{wallet_id}/unfreeze", wallets.unfreeze, "operate", wallet_shapes.WalletShape),
    Route("POST", "/v1/wallets/{wallet_id}/close", wallets.close, "operate", wallet_shapes.WalletShape),
    Route("GET", "/v1/wallets/balance", wallets.balance, "operate", wallet_shapes.BalanceShape),
    Route("GET", "/v1/wallets/transactions", wallets.transactions, "operate", wallet_shapes.TransactionPage),
    Route("GET", "/v1/cost-tickets", cost_tickets.list_tickets, "operate", cost_tickets.TicketPage),
    Route("GET", "/v1/cost-tickets/{ticket_id}", cost_tickets.get, "operate", cost_tickets.TicketShape),
    Route("POST", "/v1/cost-tickets/{ticket_id}/approve", cost_tickets.approve, "operate", cost_tickets.TicketShape),
    Route("POST", "/v1/cost-tickets/{ticket_id}/deny", cost_tickets.deny, "operate", cost_tickets.TicketShape),
    Route("GET", "/v1/teams", teams.list_teams, "operate", teams.TeamPage),
    Route("PUT", "/v1/teams/{team_id}", teams.put, "operate", teams.Team),
    Route("POST", "/v1/model-pricing", model_pricing.post, "operate", model_pricing.PriceAnswer, 201),
    Route("GET", "/v1/model-pricing", model_pricing.list_prices, "operate", list[model_pricing.PriceAnswer]),
    Route("GET", "/v1/events", events.list_events, "operate", events.EventPage, documented=events.DOCUMENTED),
    Route("GET", "/v1/events/{event_id}", events.get_event, "operate", events.Explanation),
    Route("GET", "/v1/audit", audit.list_acts, "operate", audit.ActPage),
    Route("GET", "/v1/audit/checkpoints", audit.list_checkpoints, "operate", audit.CheckpointPage),
    Route("GET", "/v1/ledger/health", ledger.health, "operate", ledger.LedgerHealth),
    Route("GET", "/v1/ledger/suspense", suspense.list_suspense, "operate", suspense.SuspensePage),
    Route("POST", "/v1/ledger/suspense/{lease_id}/resolve", suspense.resolve, "operate", suspense.Resolved),
    Route("GET", "/v1/gateway-config", gateway_config.get, "operate", gateway_config.Config),
    Route("PUT", "/v1/gateway-config", gateway_config.put, "operate", gateway_config.PutConfig),
    Route("GET", "/v1/gateway-config/versions", gateway_config.list_versions, "operate", gateway_config.ConfigVersions),
    Route("POST", "/v1/gateway-config/rollback", gateway_config.roll_back, "operate", gateway_config.PutConfig),
    Route("GET", "/v1/gateways", gateways.list_gateways, "operate", gateways.GatewayPage),
    Route("POST", "/v1/gateways/{node_id}/retire", gateways.retire, "operate", gateways.GatewayShape),
    Route("GET", "/metrics", metrics.metrics, "operate"),
    Route("GET", "/v1/ledger/recovery", recovery.status, "operate", recovery.RecoveryShape),
    Route("POST", "/v1/ledger/recovery/finish", recovery.finish, "operate", recovery.RecoveryShape),
    Route("POST", "/v1/gateway/register", gateway.register, "operate"),
    Route("POST", "/v1/gateway/introduction", gateway.introduce, "machine"),
    Route("GET", "/v1/gateway/snapshot", gateway.snapshot, "machine"),
    Route("POST", "/v1/gateway/heartbeat", gateway.heartbeat, "machine"),
    Route("POST", "/v1/gateway/leases", gateway.grant, "machine"),
    Route("POST", "/v1/gateway/tickets", gateway.ticket, "machine"),
    Route("POST", "/v1/gateway/escalations", gateway.escalation, "machine"),
    Route("POST", "/v1/gateway/tickets/leave", gateway.leave_ticket, "machine"),
    Route("POST", "/v1/gateway/batches", gateway.ship, "machine"),
    Route("POST", "/v1/gateway/lost", gateway.lost, "machine"),
)
