"""`errors.md`: every code that the gateway and the API refuse with, from their tables and from the API's own calls."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import keeptrusts
from keeptrusts.api.errors import DENIALS, STATUSES
from keeptrusts.core.refusal import Reason
from keeptrusts.gateway.refusals import BLOCKED, FINAL, REFUSALS, UPSTREAM
from writers.markdown import code, joined, opening, table

INTRODUCTION = """\
Gateway and API say no in one shape, the one that OpenAI's SDKs read:

```json
{"error": {"message": "...", "type": "budget_exceeded", "code": "insufficient_balance", "details": {}}}
```

`message` is for people, `code` for programs; `details` is there when it holds something. The API adds `request_id`. No message repeats a key
or a secret."""

GATEWAY = """\
A refused call of a known key has a row in the ledger, with the code as its `reason` and the status of the last column; *none*: no row.
`retry-after` is sent with every 503, and with a 429 that knows when. The codes marked *final* carry
`x-should-retry: false`: the same call would be refused again, and SDKs do not try it by themselves."""

NO_ROW = frozenset(
    {
        Reason.MISSING_KEY,
        Reason.INVALID_KEY,
        Reason.AMBIGUOUS_KEY,
        Reason.ADMIN_ONLY,
        Reason.CONFIG_REJECTED,
        Reason.ROUTE_NOT_FOUND,
        Reason.METHOD_NOT_ALLOWED,
        Reason.NOT_READY,
        Reason.JOURNAL_FAILED,
        Reason.JOURNAL_FULL,
    }
)
"""Refused before anybody knows who calls, or when nothing can be written."""

REASONS: Mapping[Reason, str] = {
    Reason.MISSING_KEY: "No key was sent. Send a gateway key as bearer token, or a group's key in `X-Consumer-Group`.",
    Reason.INVALID_KEY: "Nobody knows this key here, or a part of it is missing.",
    Reason.KEY_REVOKED: "The key was revoked, for good. Ask for a new one.",
    Reason.KEY_SUSPENDED: "The key is suspended. An administrator can resume it.",
    Reason.KEY_EXPIRED: "The key's time is over, or it was rotated and this was its old secret. Ask for the new one.",
    Reason.AMBIGUOUS_KEY: "Two different keys were sent, in two headers. Send one.",
    Reason.IP_NOT_ALLOWED: "The key, or its group, may not be used from the address that the call came from.",
    Reason.BUDGET_EXHAUSTED: "The key is suspended, since its budget is used up (`on_exhausted: suspend`). It goes on by itself when there is money again.",
    Reason.ATTRIBUTION_REQUIRED: "The call's key is bound to no team, or the call lacks another dimension that the policy file requires; `details.missing` lists them.",
    Reason.ATTRIBUTION_NOT_ALLOWED: "The call names a dimension that its key binds, or does not let clients name, or a value that it does not allow; `details` has the `dimension` and what is `allowed`.",
    Reason.CONFIG_REJECTED: "A gateway was asked to read its configuration again, and it has errors: `details.problems` has each with its place. The one in force stays.",
    Reason.ADMIN_ONLY: "What operators ask a gateway takes the API token; a gateway key is for calls.",
    Reason.INVALID_JSON: "The body is not JSON, not UTF-8, or nested too deeply.",
    Reason.INVALID_REQUEST: "A field is missing or wrong; `details.param` names it.",
    Reason.BODY_TOO_LARGE: "The body is over `gateway.max_body_bytes`, or holds more values than are read.",
    Reason.BODY_TOO_SLOW: "The body did not arrive within a minute.",
    Reason.MODEL_NOT_FOUND: "No target serves this model. `GET /v1/models` lists those that the key may use.",
    Reason.MODEL_NOT_ALLOWED: "The key, its group or the policy file does not allow this model.",
    Reason.ROUTE_NOT_FOUND: "The gateway has no such address.",
    Reason.METHOD_NOT_ALLOWED: "The address takes another method.",
    Reason.IDEMPOTENCY_CONFLICT: "The `Idempotency-Key` was used for another request within the last ten minutes.",
    Reason.POLICY_VIOLATION: "A policy with `action: block` matched, or one with `action: escalate` held the call and nobody let it through: then `details.ticket` names the ticket. "
    "`details.policy` names the policy, `details.phase` says whether in the call or its answer.",
    Reason.POLICY_UNAVAILABLE: "A policy could not be evaluated, and its `fail_mode` is `block`; or it leaves the call to a person, and none can be asked.",
    Reason.RATE_LIMIT_EXCEEDED: "A limit is reached: of the key, its group, team, user, the model, a target, the address or everybody. `details` names the limit and whose it is.",
    Reason.INSUFFICIENT_BALANCE: "The most that this call can cost does not fit what is left of the team's budget. Raise the budget, or ask for a lower `max_tokens`.",
    Reason.WALLET_STOPPED: "A wallet that the call spends from, or one above it, is frozen or closed; `details.wallet` names it.",
    Reason.COST_DENIED: "The call was held for an approver, who refused it; `details.ticket` names the ticket.",
    Reason.UNPRICED_MODEL: "Budgets are enforced and nobody has set a price for this model: `POST /v1/model-pricing`.",
    Reason.UNBOUNDED_COST: "Budgets are enforced and the request asks for something whose cost nothing in it limits.",
    Reason.BUDGET_UNVERIFIABLE: "The API can't be asked for budget, or too many calls wait for it. Nothing was sent.",
    Reason.NOT_READY: "The gateway is starting or stopping, or has not heard from the API for `gateway.max_stale_s`.",
    Reason.JOURNAL_FAILED: "The gateway can't write its journal (disk full, I/O error), so it takes no calls. It needs a restart.",
    Reason.JOURNAL_FULL: "More of the gateway's journal than `gateway.max_journal_bytes` waits for the API, so it takes no calls. It goes on by itself when the API has taken enough of it.",
    Reason.TARGET_UNAVAILABLE: "No target that serves this model may be used: the environment lacks its secret, or `max_price` keeps calls off it. The message says which, for each.",
    Reason.UPSTREAM_ERROR: "The provider failed or could not be reached.",
    Reason.UPSTREAM_TIMEOUT: "The provider was too slow.",
    Reason.UPSTREAM_RATE_LIMITED: "The provider's own rate limit is reached. Its `retry-after` is passed on.",
    Reason.UPSTREAM_REJECTED_KEY: "The provider refused the gateway's own key.",
    Reason.RESPONSE_TOO_LARGE: "The provider's answer is over `size_limits.max_response_bytes`. It is paid for, and not passed on.",
    Reason.INTERNAL: "A fault in the gateway; its log has the call's id.",
}

CODES: Mapping[str, str] = {
    "missing_token": "No bearer token was sent.",
    "invalid_token": "Nobody knows this token here, or it is revoked, suspended or expired.",
    "gateway_key_has_no_rights": "A gateway key was sent. It is for calls through the gateway.",
    "forbidden": "The token is known, and this route is not for it.",
    "invalid_json": "The body is not JSON.",
    "invalid_request": "Something in the request can't be right; `details.problems` lists each field, where fields are meant.",
    "unknown_parameter": "The query has a parameter that this route does not know.",
    "unknown_field": "`fields` names a field that events do not have.",
    "unknown_aggregate": "`aggregate` names no question of the catalogue.",
    "body_too_large": "The body is over 1 MiB (routes for machines: more).",
    "not_found": "There is no such thing.",
    "token_not_found": "There is no token with this id.",
    "wallet_not_found": "The team has no wallet, or no budget yet.",
    "idempotency_key_reused": "The `Idempotency-Key` was used for another request within the last day.",
    "unknown_team": "The directory of teams is strict, and nobody has entered this team.",
    "wallet_closed": "The wallet is closed: that is for good.",
    "over_parent": "The wallet's parent has not that much left to give to its children.",
    "insufficient_balance": "The wallet has not that much unused.",
    "ticket_not_found": "There is no ticket with this id.",
    "ticket_decided": "The ticket is decided or has expired.",
    "node_not_found": "No gateway node with this id ever registered.",
    "node_alive": "The gateway node is alive, and retiring it needs `force`.",
    "node_retired": "For gateways: the node was retired and gets no more money.",
    "not_in_suspense": "Nothing of this lease went to suspense.",
    "already_resolved": "What was in suspense of this lease is accounted for.",
    "amount_out_of_range": "More is said to be spent than is in suspense.",
    "route_not_found": "The API has no such address.",
    "method_not_allowed": "The address takes another method.",
    "conflict": "The request is at odds with how things stand; the message says how.",
    "token_revoked": "A revoked token can't be changed.",
    "token_rotated": "The rotation that is asked for again was followed by another: its secret is of no use any more.",
    "token_expired": "A token that has expired gets no new secret.",
    "illegal_transition": "The token's state does not lead there.",
    "no_recovery": "The ledger is not in recovery mode, so there is nothing to end.",
    "journal_gap": "For gateways: earlier records are missing, ship again from `details.last_seq`.",
    "journal_fork": "For gateways: the journal is not the continuation of what is applied.",
    "journal_damaged": "For gateways: the bytes are not whole groups of a journal.",
    "store_unavailable": "The database can't answer now. Try again after `retry-after`.",
    "internal_error": "A fault in the API; its log has the request's id.",
}

SAYING_NO: Mapping[str, tuple[int, int | str]] = {
    "invalid": (1, DENIALS["invalid"][0]),
    "not_found": (1, DENIALS["not_found"][0]),
    "conflict": (1, DENIALS["conflict"][0]),
    "bad_request": (1, 400),
    "_unknown": (1, 401),
    "ApiError": (2, "first"),
    "envelope": (3, "second"),
}
"""The functions that say no in the API: which argument is the code, and the status (or which argument it is)."""

WHICH = {"first": 0, "second": 1}
DEFAULT_CODES = {
    "invalid": "invalid_request",
    "bad_request": "invalid_request",
    "not_found": "not_found",
    "conflict": "conflict",
}


def page() -> str:
    """The whole page. Raises KeyError for a code that nobody has explained here."""
    gateway = [
        (code(reason.value), str(REFUSALS[reason][0]), code(REFUSALS[reason][1]), REASONS[reason], _outcome(reason))
        for reason in Reason
    ]
    found = sorted({*_api_codes(), *((status, known[1]) for status, known in STATUSES.items())})
    api = [(code(name), str(status), CODES[name]) for status, name in found]
    unused = set(CODES) - {name for _, name in found}
    assert not unused, f"explained, but said nowhere: {unused}"
    return joined(
        [
            *opening("Errors", INTRODUCTION, "## The gateway's", GATEWAY),
            table(("Code", "HTTP", "Type", "What it means and what to do", "Event"), gateway),
            "An error of the provider that the client caused (a 4xx other than 401, 403, 408, 425 and 429) is passed on as it came.",
            "## The API's",
            table(("Code", "HTTP", "What it means"), api),
        ]
    )


def _outcome(reason: Reason) -> str:
    if reason in NO_ROW:
        return "none"
    final = ", *final*" if reason in FINAL else ""
    if reason in BLOCKED:
        return code("blocked") + final
    return (code("upstream_error") if reason in UPSTREAM else code("refused")) + final


def _api_codes() -> Iterator[tuple[int, str]]:
    """Status and code of every refusal that is written out in the API or the control plane."""
    source = Path(keeptrusts.__file__).parent
    for file in sorted([*(source / "api").rglob("*.py"), *(source / "control").rglob("*.py")]):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYING_NO:
                yield from _said(node, node.func.id)


def _said(call: ast.Call, function: str) -> Iterator[tuple[int, str]]:
    at, status = SAYING_NO[function]
    name = _literal(call, at, DEFAULT_CODES.get(function))
    number = _literal(call, WHICH[status], None) if isinstance(status, str) else status
    if isinstance(name, str) and isinstance(number, int):
        yield number, name


def _literal(call: ast.Call, at: int, default: object) -> object:
    """The constant at this place of the call; None where it is worked out when the call is made."""
    if at >= len(call.args):
        return default
    given = call.args[at]
    return given.value if isinstance(given, ast.Constant) else None
