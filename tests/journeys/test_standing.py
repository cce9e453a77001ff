"""How keys stand, at several gateways with several workers each: revoked under load, rotated, used up and funded."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.books import allocate, events, funded_key, issue_key, nanos, nothing_held, settled_events
from tests.journeys.crowd import chat_bytes, parse_answer
from tests.journeys.processes import until
from tests.journeys.product import Key, Product, running_product
from tests.journeys.steady_callers import Load
from tests.journeys.web import Answer, ask

pytestmark = pytest.mark.xdist_group("journeys-standing")

HEARD_WITHIN_S = 1.0
WORKERS = 2


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, list[int]]]:
    """A product with two gateways of two workers each, and their ports."""
    with running_product(tmp_path_factory.mktemp("two"), workers=WORKERS) as product:
        yield product, [product.gateway_port, product.start_another_gateway(WORKERS)]


def at(port: int, key: Key, **fields: Any) -> Answer:
    """One chat completion at this gateway."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say a word."}], **fields}
    return ask("POST", f"http://127.0.0.1:{port}/v1/chat/completions", body, key.headers)


def test_a_second_after_a_key_is_revoked_no_call_of_it_is_served_at_any_worker(two: tuple[Product, list[int]]) -> None:
    product, ports = two
    team = "team_revoked_under_load"
    key = funded_key(product, team, "100")
    until(lambda: all(at(port, key).status == 200 for port in ports for _ in range(4 * WORKERS)), "all know the key")
    with Load(ports[0], key.headers) as here, Load(ports[1], key.headers) as there:
        until(lambda: min(here.statuses[200], there.statuses[200]) >= 50, "both are under load", 30.0)
        assert product.admin("DELETE", f"/v1/tokens/{key.id}").status == 200
        revoked_at = time.time()
        refused = [load.statuses[403] for load in (here, there)]
        until(
            lambda: all(load.statuses[403] > was + 100 for load, was in zip((here, there), refused, strict=True)), "no"
        )
        time_over = revoked_at + HEARD_WITHIN_S
        until(lambda: time.time() > time_over + 0.5, "a second and a half are over")
    nothing_held(product, team, 20.0)
    rows = events(product, team_id=team)
    late = [row for row in rows if row["cost"] is not None and begun(row) > time_over]
    assert late == []
    assert any(row["reason"] == "key_revoked" and begun(row) > time_over for row in rows), "calls went on coming"
    assert {row["status"] for row in rows} <= {"ok", "refused", "interrupted"}
    billed = {served.request_id: served.cost_nanos for served in product.truth()}
    for row in rows:
        if row["request_id"] in billed:
            assert nanos(row["cost_usd"]) == billed[row["request_id"]], row


def begun(row: dict[str, Any]) -> float:
    return datetime.fromisoformat(row["timestamp"]).timestamp()


def test_streams_under_way_are_cut_within_a_second_and_cost_what_the_provider_bills(
    two: tuple[Product, list[int]],
) -> None:
    product, ports = two
    team = "team_cut"
    key = funded_key(product, team, "10")
    request = chat_bytes("gpt-4o-mini", "Talk slowly. [[out=60 gap_ms=50]]", key.headers, max_tokens=60, stream=True)
    ends: list[float] = []
    answers: list[Answer] = []

    async def one(port: int, begun: asyncio.Barrier) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            head = await reader.readuntil(b"data: ")
            await begun.wait()
            answers.append(parse_answer(head + await reader.read(-1)))
            ends.append(time.monotonic())
        finally:
            writer.close()

    async def run() -> float:
        count = 4 * len(ports)
        begun = asyncio.Barrier(count + 1)
        tasks = [asyncio.create_task(one(port, begun)) for port in ports for _ in range(4)]
        await begun.wait()
        await asyncio.to_thread(product.admin, "DELETE", f"/v1/tokens/{key.id}")
        revoked = time.monotonic()
        await asyncio.gather(*tasks)
        return revoked

    until(lambda: all(at(port, key).status == 200 for port in ports for _ in range(4 * WORKERS)), "all know the key")
    revoked = asyncio.run(run())
    assert max(ends) - revoked <= HEARD_WITHIN_S
    for answer in answers:
        assert b"key_revoked" in answer.body
        assert b"[DONE]" not in answer.body
    cut = settled_events(product, len(answers), team_id=team, reason="key_revoked")
    billed = {served.request_id: served.cost_nanos for served in product.truth()}
    assert [nanos(row["cost_usd"]) for row in cut] == [billed[row["request_id"]] for row in cut]
    nothing_held(product, team)


def test_a_rotated_key_works_with_both_secrets_at_every_worker_until_the_overlap_ends(
    two: tuple[Product, list[int]],
) -> None:
    product, ports = two
    key = funded_key(product, "team_rotated", "10")
    rotated = json.loads(product.kt("tokens", "rotate", key.id, "--overlap", "1h", "--format", "json"))
    new = Key(rotated["id"], rotated["token"])
    assert new.id == key.id
    until(lambda: all(at(port, new).status == 200 for port in ports for _ in range(4 * WORKERS)), "all know it", 5.0)
    assert {at(port, key).status for port in ports for _ in range(4)} == {200}
    rows = events(product, team_id="team_rotated")
    assert {row["gateway_key"] for row in rows} == {key.id}
    again = json.loads(product.kt("tokens", "rotate", key.id, "--format", "json"))
    newest = Key(again["id"], again["token"])
    until(lambda: all(at(port, newest).status == 200 for port in ports for _ in range(4 * WORKERS)), "all know it", 5.0)
    ended = at(ports[0], new)
    assert (ended.status, ended.error["code"]) == (403, "key_expired")
    assert at(ports[0], key).status == 401
    product.kt("tokens", "revoke", key.id)
    until(lambda: {at(port, newest).status for port in ports for _ in range(4 * WORKERS)} == {403}, "all refuse", 5.0)


def test_a_user_that_a_client_names_spends_from_a_budget_of_its_own(two: tuple[Product, list[int]]) -> None:
    product, ports = two
    team = "team_of_users"
    key = funded_key(product, team, "10", allowed_dimensions={"user": "*", "feature": ["chat"]})
    body = {"scope": "user", "scope_id": "alice", "amount": "0.000001"}
    assert product.admin("POST", "/v1/wallets/allocate", body).status == 200
    until(
        lambda: all(at(port, key, user="alice").status == 402 for port in ports for _ in range(4)), "heard of it", 5.0
    )
    for port in ports:
        for named in ({"user": "alice"}, {"metadata": {"user": "alice"}}, {"metadata": {"user_id": "alice"}}):
            refused = at(port, key, **named)
            assert (refused.status, refused.error["code"]) == (402, "insufficient_balance")
        assert at(port, key, user="bob", metadata={"feature": "chat"}).status == 200
        assert at(port, key).status == 200
        assert at(port, key, metadata={"feature": "else"}).error["code"] == "attribution_not_allowed"
    rows = until(lambda: [row for row in events(product, team_id=team) if row["user_id"] == "bob"], "bob's calls")
    assert {row["feature"] for row in rows} == {"chat"}
    nothing_held(product, team)


def test_what_stands_behind_a_chunked_body_is_no_header(two: tuple[Product, list[int]]) -> None:
    product, ports = two
    team = "team_of_trailers"
    key = funded_key(product, team, "10", allowed_dimensions={"user": "*"})
    until(lambda: all(at(port, key).status == 200 for port in ports for _ in range(4)), "all know the key", 5.0)
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say a word."}]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key.secret}\r\nconnection: close\r\n"
    )
    head += "x-request-id: trailing\r\ntransfer-encoding: chunked\r\ntrailer: x-keeptrusts-user\r\n\r\n"
    data = head.encode() + b"%x\r\n%b\r\n0\r\nx-keeptrusts-user: mallory\r\n\r\n" % (len(body), body)
    with socket.create_connection(("127.0.0.1", ports[0]), timeout=30) as client:
        client.sendall(data)
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 200")
    [row] = settled_events(product, 1, team_id=team, request_id="trailing")
    assert row["user_id"] is None


def test_a_key_is_suspended_when_its_budget_is_used_up_and_resumes_when_it_is_funded(
    two: tuple[Product, list[int]],
) -> None:
    product, ports = two
    team = "team_used_up"
    key = funded_key(product, team, "0.0002", on_exhausted="suspend")

    def spend() -> bool:
        answers = [at(port, key, max_tokens=20) for port in ports]
        return any(answer.status == 402 and answer.error["code"] == "budget_exhausted" for answer in answers)

    until(spend, "the key is suspended", 20.0)
    shown = product.admin("GET", f"/v1/tokens/{key.id}").json
    assert (shown["status"], shown["suspended_reason"]) == ("suspended", "budget_exhausted")
    assert "suspended (budget)" in product.kt("tokens", "show", key.id)
    allocate(product, team, "1")
    until(lambda: all(at(port, key).status == 200 for port in ports for _ in range(4)), "it goes on", 5.0)
    acts = product.admin("GET", "/v1/audit", subject_id=key.id).json["acts"]
    assert [act["action"] for act in acts if act["actor"] == "budget"] == ["token.resume", "token.suspend"]


def test_a_gateway_that_starts_without_the_api_knows_what_it_has_heard_of_keys(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        key, gone = funded_key(product, "team_snapshot"), issue_key(product, "team_snapshot")
        rotated = product.admin("POST", f"/v1/tokens/{key.id}/rotate", {"overlap_seconds": 3}).json
        began = time.monotonic()
        new = Key(rotated["id"], rotated["token"])
        assert product.admin("DELETE", f"/v1/tokens/{gone.id}").status == 200
        saved = product.data_dir / "gateway" / "snapshot.json"
        until(lambda: b'"revoked"' in saved.read_bytes(), "the snapshot holds it", 5.0)
        product.gateway.kill()
        product.api.kill()
        product.start_gateway()
        old = ask("GET", f"{product.gateway_url}/v1/models", headers=key.headers)
        assert old.status == 200 or time.monotonic() - began > 3
        assert ask("GET", f"{product.gateway_url}/v1/models", headers=gone.headers).error["code"] == "key_revoked"
        until(
            lambda: ask("GET", f"{product.gateway_url}/v1/models", headers=key.headers).status == 403,
            "it has ended",
            8.0,
        )
        assert ask("GET", f"{product.gateway_url}/v1/models", headers=new.headers).status == 200
