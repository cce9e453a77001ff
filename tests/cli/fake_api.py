"""The API as the command line sees it, in memory, over a real socket: wallets, events, keys, and how it says no."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "kt_ak_the-token-of-the-tests"


class Exact(float):
    """A number that the standard encoder writes digit by digit, as the API does."""

    def __new__(cls, text: str) -> "Exact":
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text


class Answer(Exception):
    """Ends a request with this status and body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def says_no(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"message": message, "type": "invalid_request_error", "code": code, "details": {}}})


def wallet(team_id: str, allocated: str, spent: str = "0", **more: Any) -> dict[str, Any]:
    """A monthly balance object of April 2026, as the API answers it."""
    balance = Decimal(allocated) - Decimal(spent)
    return {
        "team_id": team_id,
        "team": team_id.removeprefix("team_"),
        "wallet_id": f"wal_{team_id}",
        "currency": "USD",
        "period": {"name": "monthly", "start": "2026-04-01T00:00:00Z", "end": "2026-05-01T00:00:00Z"},
        "allocated": Exact(allocated),
        "spent": Exact(spent),
        "reserved": Exact("0"),
        "leased": Exact("0"),
        "suspense": Exact("0"),
        "available": Exact(format(balance, "f")),
        "balance": Exact(format(balance, "f")),
        **more,
    }


def event(number: int, **more: Any) -> dict[str, Any]:
    """The event of one served call; ``number`` makes id and time."""
    return {
        "id": f"evt_{number:06}",
        "timestamp": f"2026-04-23T14:{number // 60 % 60:02}:{number % 60:02}Z",
        "status": "ok",
        "reason": None,
        "team_id": "team_engineering",
        "team": "engineering",
        "consumer_group": "engineering",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "tokens_input": 14,
        "tokens_output": 25,
        "cost_usd": Exact("0.0000171"),
        "cost": Exact("0.0000171"),
        "usage": {"prompt_tokens": 14, "completion_tokens": 25, "total_tokens": 39},
        "latency_ms": 890,
        "cache_hit": False,
        "policy_actions": [],
        **more,
    }


def blocked(number: int, **more: Any) -> dict[str, Any]:
    """The event of a call that its team could not afford."""
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return event(
        number,
        status="blocked",
        reason="insufficient_balance",
        cost=None,
        cost_usd=None,
        usage=nothing,
        tokens_input=0,
        tokens_output=0,
        **more,
    )


@dataclass
class FakeApi:
    """``events`` stand in the order of recording. ``fails_with`` answers whatever comes with one raw answer instead."""

    url: str = ""
    wallets: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[dict[str, Any]] = field(default_factory=list)
    acts: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    page_limit: int = 1_000
    fails_with: tuple[int, bytes] | None = None
    more_routes: dict[tuple[str, str], Callable[[dict[str, str], Any], Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    """Every request: method, path, query, body."""

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        routes = {
            ("GET", "/v1/wallets"): self._wallets,
            ("GET", "/v1/wallets/balance"): self._balance,
            ("POST", "/v1/wallets/allocate"): self._allocate,
            ("GET", "/v1/events"): self._events,
            ("GET", "/v1/tokens"): self._tokens,
            ("POST", "/v1/tokens"): self._create,
            ("GET", "/v1/audit"): lambda query, _: self._page("acts", self.acts, query),
            ("GET", "/v1/audit/checkpoints"): lambda query, _: self._page("checkpoints", self.checkpoints, query),
        }
        routes |= self.more_routes
        self.asked.append((method, path, query, body))
        if found := re.fullmatch(r"/v1/tokens/(\w+)", path):
            if found[1] not in {token["id"] for token in self.tokens}:
                raise says_no(404, "token_not_found", f"There is no token {found[1]}.")
            if method == "DELETE":
                raise Answer(204, None)
            token = next(token for token in self.tokens if token["id"] == found[1])
            token.update(body or {})
            return token
        if found := re.fullmatch(r"/v1/tokens/(\w+)/rotate", path):
            until = "2027-01-01T00:00:00Z" if body else None
            raise Answer(200, {"id": found[1], "name": "one", "token": "kt_gk_new", "old_secret_until": until})
        if (method, path) not in routes:
            raise says_no(404, "route_not_found", "There is nothing at this address.")
        return routes[(method, path)](query, body)

    def _wallets(self, query: dict[str, str], _: Any) -> Any:
        return self._page("data", self.wallets, query)

    def _balance(self, query: dict[str, str], _: Any) -> Any:
        for found in self.wallets:
            if query["team_id"] in (found["team_id"], found["team"]):
                return found
        raise says_no(404, "wallet_not_found", f"Team {query['team_id']} has no wallet.")

    def _allocate(self, _: dict[str, str], body: Any) -> Any:
        made = wallet(body["team_id"], format(Decimal(body["amount"]), "f"))
        self.wallets = [it for it in self.wallets if it["team_id"] != body["team_id"]] + [made]
        return made

    def _events(self, query: dict[str, str], _: Any) -> Any:
        if query.get("aggregate") == "by_model":
            return {"models": self.models}
        team = query.get("team", "").casefold()
        rows = [it for it in self.events if not team or team in (it["team_id"], it["team"])]
        return self._page("events", rows[::-1], query)

    def _tokens(self, query: dict[str, str], _: Any) -> Any:
        return self._page("data", self.tokens, query)

    def _create(self, _: dict[str, str], body: Any) -> Any:
        made = {"id": f"tok_{len(self.tokens) + 1}", "status": "provisioned", "expires_at": None, **body}
        self.tokens.append({**made, "hint": "kt_gk_...last"})
        raise Answer(201, {**made, "token": "kt_gk_the-secret"})

    def _page(self, name: str, rows: list[dict[str, Any]], query: dict[str, str]) -> Any:
        start = int(query.get("cursor") or 0)
        end = start + min(int(query.get("limit") or 100), self.page_limit)
        return {name: rows[start:end], "next_cursor": str(end) if end < len(rows) else None}


@contextmanager
def running(api: FakeApi) -> Iterator[FakeApi]:
    """Serves the fake on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Tests read what was asked from the fake itself."""

        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(length)
            if api.fails_with:
                self.reply(*api.fails_with)
                return
            try:
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    raise says_no(401, "invalid_token", "This token is not known here.")
                body = json.loads(content, parse_float=Decimal) if content else None
                self.reply(
                    200, json.dumps(api.answer(self.command, parts.path, dict(parse_qsl(parts.query)), body)).encode()
                )
            except Answer as it:
                self.reply(it.status, b"" if it.body is None else json.dumps(it.body, default=str).encode())

        def reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_one  # noqa: N815 - the names that http.server looks for

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
