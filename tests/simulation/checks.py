"""What must hold in a simulated world: after every step in the gateways' memory, after every commit in the books, and at the end
between the providers' truth, the journals, the ledger's rows and the wallets.

The books are read with plain SQL beside the store's own code, so that one mistake can't hide another.
"""

import json
from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, Any

from keeptrusts.core.ledger.journal_format import DamagedJournal, read_groups
from keeptrusts.gateway.adoption import RETIRED_MARK
from keeptrusts.gateway.journal import segment_start, segments
from tests.simulation.books import PERIODS, must
from tests.simulation.provider import Served

if TYPE_CHECKING:
    from tests.simulation.world import World


def check_end(world: "World") -> None:
    """Everything has ended and was adopted: nothing is held, lost or doubled, and everybody agrees."""
    books = world.books
    overbilled = world.profile.manners.overbills
    books.check(overbilled)
    unfinished = _journals(world)
    lossy = world.cut | unfinished
    _leases_drained(world, unfinished)
    rows = _rows(world)
    lost_calls = {call.request_id for call in world.calls if call.node_id in lossy}
    _calls_and_rows(world, rows, lost_calls)
    billed = _truth(world, rows, lost_calls)
    _wallets(world, rows, lossy, billed)
    must(not books.rows("SELECT * FROM quarantine"), "L7: a record is in quarantine")


def _journals(world: "World") -> set[str]:
    """L7: every journal is applied whole, once. Returns those that nobody can finish after a loss of power."""
    positions = {
        node: (seq, chain) for node, seq, chain in world.books.rows("SELECT node_id, last_seq, chain FROM journal")
    }
    unfinished = set()
    for host in world.hosts:
        for directory in host.journals:
            name, paths = directory.name, segments(directory)
            try:
                last_seq, chain = segment_start(paths[0]) if paths else (1, bytes(16))
                last_seq -= 1
                for path in paths:
                    for group in read_groups(path.read_bytes(), *segment_start(path)):
                        last_seq, chain = group.last_seq, group.chain
            except DamagedJournal:
                must(name in world.cut, f"journal {name} is damaged, though no power was lost")
                if not (directory / RETIRED_MARK).exists():
                    unfinished.add(name)
                continue
            if (directory / RETIRED_MARK).exists():
                if name not in world.cut and paths:
                    applied = positions.get(name)
                    must(
                        applied is not None and applied[0] == last_seq,
                        f"L7: {name} ends at {last_seq}, applied {applied}",
                    )
                    must(applied is not None and bytes.fromhex(applied[1]) == chain, f"L7: {name} is applied otherwise")
            else:
                must(name in world.cut, f"L12: journal {name} was never adopted")
                unfinished.add(name)
    return unfinished


def _leases_drained(world: "World", unfinished: set[str]) -> None:
    """L12: no lease is open, but those of journals that can't be finished, and say so."""
    open_leases = world.books.rows("SELECT lease_id, node_id FROM lease WHERE closed = 0")
    for lease_id, node_id in open_leases:
        must(node_id in unfinished, f"L12: lease {lease_id} of {node_id} is open for ever")
    if not open_leases:
        left = world.books.rows("SELECT wallet_id, leased_nanos FROM wallet_period WHERE leased_nanos <> 0")
        must(not left, f"L12: still leased: {left}")


Row = dict[str, Any]


def _rows(world: "World") -> dict[str, list[Row]]:
    names = (
        "event_id",
        "node_id",
        "team_id",
        "status",
        "cost_nanos",
        "usage_source",
        "cache_hit",
        "attempts",
        "request_id",
    )
    found: dict[str, list[Row]] = defaultdict(list)
    for values in world.books.rows(f"SELECT {', '.join(names)} FROM event WHERE type = 'call'"):
        row = dict(zip(names, values, strict=True))
        row["attempts"] = json.loads(row["attempts"])
        found[row["request_id"]].append(row)
    return found


def _calls_and_rows(world: "World", rows: dict[str, list[Row]], lost_calls: set[str]) -> None:
    """L5: one row per call, and what a client saw end is what the row says."""
    for call in world.calls:
        mine = rows.get(call.request_id, [])
        must(len(mine) <= 1, f"L5: {call.request_id} has {len(mine)} rows")
        if call.request_id in lost_calls:
            continue
        if call.ended and call.status == 200:
            must(len(mine) == 1, f"L5: {call.request_id} was answered and has no row")
            must(mine[0]["status"] != "recovered", f"L5: {call.request_id} was answered before its end was recorded")
        for row in mine:
            numbers = [attempt["number"] for attempt in row["attempts"]]
            must(numbers == list(range(1, len(numbers) + 1)), f"L5: attempts of {call.request_id} are {numbers}")
            spent = sum(attempt["cost_nanos"] for attempt in row["attempts"])
            must(
                (row["cost_nanos"] or 0) == spent,
                f"L9: {call.request_id} cost {row['cost_nanos']}, its attempts {spent}",
            )
            must(not row["cache_hit"] or spent == 0, f"{call.request_id} was answered from the cache and cost {spent}")
    known = {call.request_id for call in world.calls}
    must(known >= rows.keys(), f"rows of calls that nobody made: {rows.keys() - known}")


def _truth(world: "World", rows: dict[str, list[Row]], lost_calls: set[str]) -> dict[str, int]:
    """L4, L6, L9: what the providers billed is what the rows say, or less on rows that are flagged. Returns, by team, what
    was billed in all, in rows and in those that a machine lost: at least so much."""
    rates = {
        version: (json.loads(body)["rates"]["input"], json.loads(body)["rates"]["output"])
        for version, body in world.books.rows("SELECT price_id, body FROM price")
    }
    served_of: dict[tuple[str, str], list[Served]] = defaultdict(list)
    billed: dict[str, int] = defaultdict(int)
    for one in world.providers.served:
        served_of[one.request_id, one.model].append(one)
        must(bool(rows.get(one.request_id)) or one.request_id in lost_calls, f"L6: {one.request_id} has no row")
    for request_id, mine in rows.items():
        truths: dict[int, int] = {}
        for model in {attempt["model"] for attempt in mine[0]["attempts"]}:
            attempts = [attempt for attempt in mine[0]["attempts"] if attempt["model"] == model]
            served = served_of.pop((request_id, model), [])
            if request_id in lost_calls and len(served) > len(attempts):
                served_of[request_id, model] = served[len(attempts) :]
                served = served[: len(attempts)]
            truths |= _truths(request_id, attempts, served, rates)
        for attempt in mine[0]["attempts"]:
            truth = truths[attempt["number"]]
            billed[mine[0]["team_id"]] += truth
            where = f"attempt {attempt['number']} of {request_id}"
            honest = not world.profile.manners.overbills or attempt["usage_source"] == "provider"
            must(
                truth <= attempt["cost_nanos"] or not honest,
                f"L6: {where} is billed {truth}, posted {attempt['cost_nanos']}",
            )
            if not world.profile.manners.overbills:
                must(attempt["cost_nanos"] <= attempt["hold_nanos"], f"L4: {where} cost more than its hold")
            if attempt["usage_source"] == "provider":
                must(truth == attempt["cost_nanos"], f"L9: {where} is billed {truth}, posted {attempt['cost_nanos']}")
            if attempt["outcome"] == "indeterminate":
                must(attempt["usage_source"] == "worst_case", f"L6: {where} is not flagged")
    for (request_id, model), several in served_of.items():
        must(request_id in lost_calls, f"L6: {request_id} was sent to {model}, and no attempt says so")
        cheapest = world.cheapest[model]
        for one in several:
            nanos = (one.input_tokens * cheapest.input + one.output_tokens * cheapest.output) // 1_000
            billed[world.calls[int(request_id.removeprefix("call-"))].team] += nanos
    return billed


def _truths(
    request_id: str, attempts: list[Row], served: list[Served], rates: dict[str, tuple[int, int]]
) -> dict[int, int]:
    """What each attempt of a call at one model was billed, by its number. They follow one another, so that the provider got
    them in their order; some broke off on the way there. Where that can be read in several ways, one that agrees is taken."""

    def billed(attempt: Row, by: Served) -> int:
        into, out = rates[attempt["price_version"]]
        return -(-(by.input_tokens * into + by.output_tokens * out) // 1_000)

    must(len(served) <= len(attempts), f"L6: {request_id} was sent {len(served)} times in {len(attempts)} attempts")
    readings = [
        {attempt["number"]: billed(attempt, by) for attempt, by in zip(arrived, served, strict=True)}
        for arrived in combinations(attempts, len(served))
    ]

    def agrees(reading: dict[int, int]) -> bool:
        return all(
            attempt["cost_nanos"] == reading.get(attempt["number"], 0)
            for attempt in attempts
            if attempt["usage_source"] == "provider" or attempt["outcome"] == "void"
        )

    reading = next(filter(agrees, readings), readings[0])
    return {attempt["number"]: reading.get(attempt["number"], 0) for attempt in attempts}


def _wallets(world: "World", rows: dict[str, list[Row]], lossy: set[str], billed: dict[str, int]) -> None:
    """L11 and conservation: a team's accounts and statement add up to its rows, and never to more than its budgets."""
    cost: dict[str, int] = defaultdict(int)
    for mine in rows.values():
        cost[mine[0]["team_id"]] += mine[0]["cost_nanos"] or 0
    orphans = world.books.rows(
        """SELECT w.scope_id, e.actor, e.amount_nanos FROM ledger_entry AS e JOIN wallet AS w ON w.wallet_id = e.wallet_id
        WHERE e.type = 'settle' AND e.event_id NOT IN (SELECT event_id FROM event)"""
    )
    for team, node_id, amount in orphans:
        # The end of an attempt was applied; the row of its call was lost with the machine's last writes.
        must(node_id in lossy, f"L5: {node_id} posted {amount} for a call without a row")
        cost[team] += amount
    spent: dict[tuple[str, str], int] = defaultdict(int)
    doubtful: dict[tuple[str, str], int] = defaultdict(int)
    for wallet, kind, start, limit, posted, leased, suspense, overrun, unleased in world.books.rows(PERIODS):
        spent[world.books.team_of(wallet), kind] += posted + overrun + unleased
        doubtful[world.books.team_of(wallet), kind] += suspense + leased
        if not world.profile.manners.overbills:
            must(overrun == 0, f"L4: {wallet} {kind} has an overrun of {overrun}")
            highest = max(limit, world.books.highest.get((wallet, kind, start), 0))
            used = posted + unleased + suspense + leased
            must(used <= highest or unleased > 0, f"L2: {wallet} {kind} used {used}, its budget was {highest} at most")
    for team, budgets in world.profile.budgets.items():
        for kind in budgets:
            mine = spent[team, kind]
            # Where an empty wallet may be passed by, the rest is on its parent's account.
            agree = mine <= cost[team] if world.profile.fallback else mine == cost[team]
            # Of calls whose ends were lost the hold is posted, and what it left may have paid for a call that was lost whole.
            covers = mine + doubtful[team, kind]
            exempt = world.profile.fallback or world.profile.manners.overbills
            must(exempt or billed[team] <= covers, f"L6: {team} was billed {billed[team]}, {kind} knows of {covers}")
            must(agree, f"{team}: {kind} accounts say {mine}, rows {cost[team]}")
    if world.profile.tree == "department":
        for kind in world.books.standing_kinds("eng"):
            must(
                spent["eng", kind] == sum(cost.values()),
                f"L11: {kind} of all is {spent['eng', kind]}, not {sum(cost.values())}",
            )
    entries = world.books.rows(
        """SELECT w.scope_id, SUM(e.amount_nanos) FROM ledger_entry AS e JOIN wallet AS w ON w.wallet_id = e.wallet_id
        WHERE e.type = 'settle' GROUP BY 1"""
    )
    for team, amount in entries:
        if world.profile.fallback or team not in world.profile.budgets:
            continue
        must(amount == cost[team], f"{team}: the statement says {amount}, the rows {cost[team]}")
