"""The configuration of managed gateways: nothing unsound gets in, every version stays, and every act is in the trail."""

import json
from typing import Any

import pytest

from tests.api.asgi import Caller

pytestmark = pytest.mark.anyio

URL = "/v1/gateway-config"
TEXT = "version: '1'\nproviders: {targets: [{id: a, provider: simulated}]}\n"
OTHER = TEXT + "consumer_groups: [{name: g, rate_limits: {requests_per_minute: 5}}]\n"


async def put(admin: Caller, text: str, **more: Any) -> Any:
    return await admin.send("PUT", URL, json.dumps({"text": text, **more}).encode())


async def test_what_was_put_is_in_force_and_what_was_before_stays(admin: Caller) -> None:
    assert (await admin.get(URL)).status == 404
    first = await put(admin, TEXT, description="to begin with")
    assert (first.status, first.json["version"], first.json["is_new"]) == (200, 1, True)
    second = await put(admin, OTHER)
    assert (second.json["version"], second.json["changes"]) == (2, ["group g added"])
    assert (await put(admin, OTHER)).json["is_new"] is False
    assert (await admin.get(URL)).json["text"] == OTHER
    assert (await admin.get(URL, version="1")).json["text"] == TEXT
    page = (await admin.get(f"{URL}/versions")).json
    assert [(row["version"], row["description"]) for row in page["data"]] == [(2, ""), (1, "to begin with")]


async def test_a_rollback_is_a_new_version_with_an_old_text(admin: Caller) -> None:
    await put(admin, TEXT)
    await put(admin, OTHER)
    back = await admin.post(f"{URL}/rollback", {"version": 1})
    assert (back.json["version"], back.json["changes"]) == (3, ["group g removed"])
    assert (await admin.get(URL)).json["text"] == TEXT
    assert (await admin.post(f"{URL}/rollback", {"version": 9})).status == 404


async def test_a_text_with_errors_changes_nothing_and_names_each(admin: Caller) -> None:
    await put(admin, TEXT)
    broken = await put(admin, TEXT.replace("simulated", "simulatd"))
    assert broken.status == 400
    [problem] = broken.json["error"]["details"]["problems"]
    assert (problem["line"], problem["code"]) == (2, "unknown_value")
    assert (await admin.get(URL)).json["version"] == 1


async def test_what_is_missing_is_told_of_the_text_alone(admin: Caller) -> None:
    answer = await put(admin, "version: '1'\n")
    assert answer.json["error"]["message"].startswith("the configuration has 1 error: line 1: ")
    assert "--managed" not in str(answer.json)


async def test_where_the_api_is_need_not_be_said(admin: Caller) -> None:
    """Each gateway lays its own `api` over what is kept here, so that what needs one has it."""
    enforced = TEXT + "cost_tracking: {wallet_enforcement: true}\n"
    assert (await put(admin, enforced)).status == 200
    elsewhere = await put(admin, enforced + "api: {url: 'http://elsewhere:8080'}\n")
    assert (elsewhere.status, elsewhere.json["changes"]) == (200, [])


async def test_no_key_of_a_group_is_kept_here(admin: Caller) -> None:
    secret = "kt_cg_keep_this_to_yourself_1"
    refused = await put(admin, TEXT + f"consumer_groups: [{{name: g, api_key: {secret}}}]\n")
    assert refused.status == 400
    assert "kt tokens create" in refused.json["error"]["message"]
    assert secret not in str(refused.json)


async def test_no_password_in_an_address_is_kept_here(admin: Caller) -> None:
    refused = await put(admin, TEXT + "cache: {enabled: true, backend: redis, url: 'redis://:hush-hush@cache:6379'}\n")
    assert refused.status == 400, refused.json
    assert "hush" not in str(refused.json)
    assert (await admin.get(URL)).status == 404


async def test_two_operators_do_not_overwrite_each_other(admin: Caller) -> None:
    await put(admin, TEXT, expected_version=0)
    late = await put(admin, OTHER, expected_version=0)
    assert late.status == 409
    assert "version 1 is in force" in late.json["error"]["message"]


async def test_each_act_is_in_the_trail(admin: Caller) -> None:
    await put(admin, TEXT)
    await put(admin, OTHER)
    await admin.post(f"{URL}/rollback", {"version": 1})
    acts = (await admin.get("/v1/audit", subject_id="gateway-config")).json["acts"]
    assert [act["action"] for act in acts] == ["gateway_config.roll_back", "gateway_config.put", "gateway_config.put"]
    assert acts[1]["after"]["changes"] == ["group g added"]
