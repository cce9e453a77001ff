"""Bugs that somebody could make in code that moves money, and what must catch each: named, small, one after the other.

``edits`` are (file below src/keeptrusts, what stands there, what the bug puts in its place); the text must stand there exactly
once, so that this list can't outlive the code. ``tests`` are arguments for pytest; without any the simulation must find it.
"""

from msgspec import Struct

SEED_EVENTS = 600_000
"""How far the simulation may play to find a bug that is its own to find."""

Edit = tuple[str, str, str]


class PlantedBug(Struct, frozen=True):
    """A bug, and who catches it."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...] = ()


BUGS = (
    # Granting
    PlantedBug(
        "a grant has no condition",
        (
            ("store/wallets.py", 'f"{raised} AND {USED} + $5 <= $6"', 'f"{raised} AND $6 = $6"'),
            ("core/ledger/grant.py", "return min(free, max(need,", "return max(free, max(need,"),
        ),
    ),
    PlantedBug(
        "what nodes have at hand can be leased again",
        (
            (
                "core/ledger/wallet.py",
                "return self.spent + self.suspense + self.leased",
                "return self.spent + self.suspense",
            ),
            ("store/wallets.py", 'f"{raised} AND {USED} + $5 <= $6"', 'f"{raised} AND $6 = $6"'),
        ),
    ),
    PlantedBug(
        "the row does not decide a grant",
        (("store/wallets.py", 'f"{raised} AND {USED} + $5 <= $6"', 'f"{raised} AND $6 = $6"'),),
        ("tests/store/test_ledger_contract.py", "-k", "lease"),
    ),
    PlantedBug(
        "a question asked twice is granted twice",
        (
            ("control/leases.py", "earlier = await ledger.leases.granted(request.grant_id)", "earlier = None"),
            (
                "control/leases.py",
                "await ledger.leases.add_grant(request.grant_id,",
                'await ledger.leases.add_grant(f"{request.grant_id}-{lease.granted}",',
            ),
        ),
        ("tests/control/test_leases.py",),
    ),
    PlantedBug(
        "ancestors are not debited",
        (
            (
                "control/ways.py",
                "wallet = None if wallet.parent_id is None else await wallets.by_id(wallet.parent_id)",
                "wallet = None",
            ),
        ),
    ),
    PlantedBug(
        "a frozen wallet pays",
        (("control/leases.py", "if not chosen or view.stopped or (", "if not chosen or ("),),
        ("tests/control/test_tree.py", "tests/control/test_leases.py", "-k", "frozen or freez or stop or closed"),
    ),
    PlantedBug(
        "a lease of ended periods goes on",
        (("gateway/purse_refill.py", "if answer.granted_nanos and not lease.granted:", "if not lease:"),),
        ("tests/gateway/test_purse.py",),
    ),
    PlantedBug(
        "a late grant finds no tombstone",
        (("control/posting.py", "await self._mark(lease_id, movement.team_id)", "pass"),),
        ("tests/control/test_leases.py", "-k", "arrives_after"),
    ),
    PlantedBug(
        "a lost answer is asked anew",
        (
            (
                "gateway/purse_refill.py",
                "if question is None or not repeated:",
                "if question is not self:",
            ),
        ),
        ("tests/gateway/test_purse.py", "tests/gateway/test_treasury_properties.py"),
    ),
    # Holding
    PlantedBug(
        "a hold is half of the answer",
        (("core/pricing/bound.py", "answer_tokens * request.n * flat.output", "answer_tokens // 2 * flat.output"),),
    ),
    PlantedBug(
        "a second attempt holds nothing",
        (
            (
                "gateway/life_of_a_call.py",
                "if not attempt.reserve_at_once(request, lane, node.treasury):",
                "if not call.attempts and not attempt.reserve_at_once(request, lane, node.treasury):",
            ),
        ),
    ),
    PlantedBug(
        "an attempt that gives way has no end of its own",
        (("gateway/life_of_a_call.py", "        attempt.give_way(node.journal)\n", ""),),
    ),
    PlantedBug(
        "a fallback leads past the caller's list of models",
        (("core/routing/plan.py", "if not self._permits((*names, hop.model)):", "if False:"),),
        ("tests/core/routing/test_plan.py",),
    ),
    PlantedBug(
        "retries have no budget",
        (("gateway/itinerary.py", " or not state.budget.take(state.begun)", ""),),
        ("tests/gateway/test_itinerary.py",),
    ),
    PlantedBug(
        "a stream is tried elsewhere after its first byte",
        (
            (
                "gateway/relay.py",
                "        answer.abandon()\n        failure = broken",
                "        answer.abandon()\n        raise",
            ),
        ),
        ("tests/gateway/test_itinerary.py",),
    ),
    PlantedBug(
        "the request goes out before its reserve is written",
        (
            (
                "gateway/targets.py",
                "            journal.then(connection.start, exchange, exchange.fail)\n        else:\n            task",
                "            connection.start(exchange)\n        else:\n            task",
            ),
        ),
    ),
    PlantedBug(
        "a call that waited leaves with its hold",
        (
            (
                "gateway/purse_refill.py",
                "self.purse.close(account, waiter.future.result(), waiter.hold_nanos, 0)",
                "pass",
            ),
        ),
        ("tests/gateway/test_purse.py", "tests/gateway/test_treasury_properties.py"),
    ),
    # Settling
    PlantedBug(
        "a settled call frees its cost too",
        (("gateway/purse.py", "lease.free += hold_nanos - cost_nanos", "lease.free += hold_nanos"),),
    ),
    PlantedBug(
        "a time-out is free",
        (("gateway/attempt.py", "if failure.sent and status < 400:", "if failure.sent and not failure.timed_out:"),),
    ),
    PlantedBug(
        "a broken connection is free",
        (("gateway/attempt.py", "if failure.sent and status < 400:", "if failure.sent and failure.timed_out:"),),
    ),
    PlantedBug(
        "an answer that does not say what it used is free",
        (
            (
                "gateway/attempt.py",
                "cost = 0 if self.price is None else min(cost_nanos(self.price, usage), self.hold_nanos)",
                "cost = 0",
            ),
        ),
    ),
    PlantedBug(
        "the client has its answer before the row is written",
        (
            (
                "gateway/relay.py",
                "        await node.journal.written()\n        await client.whole(200, lines, body)",
                "        await client.whole(200, lines, body)",
            ),
        ),
    ),
    PlantedBug(
        "what a stream tells before its end is its bill",
        (
            (
                "core/providers/translated.py",
                "return self._told if self._stopped or self.done else None",
                "return self._told",
            ),
        ),
        ("tests/core/providers/test_wires.py",),
    ),
    PlantedBug(
        "a call goes on to a provider though its key was revoked",
        (("gateway/attempt.py", "        if ended is not None:\n            raise ended.again()\n", ""),),
        ("tests/gateway/test_identify.py",),
    ),
    PlantedBug(
        "a revoked key's stream is abandoned, and costs its hold",
        (
            (
                "gateway/passage.py",
                "            self.cut = True\n",
                "            self.cut = True\n            raise self._broken()\n",
            ),
        ),
        ("tests/gateway/test_identify.py",),
    ),
    PlantedBug(
        "clients name any value of a dimension that they may name",
        (("core/identity/additions.py", "if allowed is not None and value not in allowed:", "if not value:"),),
        ("tests/core/identity/test_additions.py",),
    ),
    PlantedBug(
        "a call of a named user spends from the team's budget alone",
        (
            (
                "gateway/caller.py",
                "            attribution=attribution,\n            meters=caller.meters + listed,",
                "            meters=caller.meters + listed,",
            ),
        ),
        ("tests/gateway/test_attributing.py",),
    ),
    PlantedBug(
        "money resumes a key that a person suspended",
        (
            (
                "control/tokens.py",
                'reason: SuspendedReason | None = "manual" if status == "suspended" else None',
                "reason = row.suspended_reason",
            ),
        ),
        ("tests/api/test_keys.py", "-k", "person"),
    ),
    PlantedBug(
        "a stream ends before its row is written",
        (
            (
                "gateway/relay.py",
                "    await node.journal.written()\n    if not passage.cut:\n        await client.end(last)",
                "    if not passage.cut:\n        await client.end(last)",
            ),
        ),
    ),
    PlantedBug(
        "an answer from the cache costs what it did",
        (
            (
                "gateway/relay.py",
                'call.status, call.cost_nanos, call.served_model = "cached", call.cost_nanos or 0, None',
                'call.status, call.cost_nanos, call.served_model = "cached", kept.cost_nanos, None',
            ),
        ),
        ("tests/gateway/test_life_of_a_call.py",),
    ),
    PlantedBug(
        "an answer is given to every team",
        (("gateway/cache.py", 'return f"team:{caller.attribution.team}"', 'return "team"'),),
        ("tests/gateway/test_sharing.py",),
    ),
    PlantedBug(
        "a repeated call is bought again",
        (("gateway/repeats.py", "kept, now + REMEMBER_S", "kept, now"),),
        ("tests/gateway/test_sharing.py",),
    ),
    PlantedBug(
        "who waits for an equal call is not told that it failed",
        (("gateway/sharing.py", "self._flight.land(Landing.OWN if self._served else Landing.FAILED)", "pass"),),
        ("tests/gateway/test_sharing.py",),
    ),
    PlantedBug(
        "money is a float",
        (("core/money.py", "-(-picos // PICOS_PER_NANO)", "round(picos / PICOS_PER_NANO)"),),
    ),
    # The journal
    PlantedBug(
        "a failed write is taken for a written one",
        (
            (
                "gateway/journal.py",
                "            self._lose(error, then)\n            return",
                "            self._release(then)\n            return",
            ),
        ),
        ("tests/gateway/test_journal.py",),
    ),
    PlantedBug(
        "two processes may hold a journal",
        (
            (
                "gateway/journal.py",
                "    try:\n        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n    except",
                "    try:\n        pass\n    except",
            ),
        ),
        ("tests/gateway/test_journal.py", "tests/gateway/test_adoption.py", "-k", "second_process or lock or living"),
    ),
    PlantedBug(
        "a synced journal does not sync",
        (
            (
                "gateway/journal.py",
                'if pending and self._durability == "power":',
                'if pending and self._durability == "none":',
            ),
        ),
        ("tests/gateway/test_journal.py", "-k", "sync"),
    ),
    PlantedBug(
        "a closed journal is opened again",
        (("gateway/journal.py", 'self.failure = "it is closed"', "pass"),),
        ("tests/gateway/test_journal.py", "-k", "closed"),
    ),
    PlantedBug(
        "more is returned than is free",
        (
            (
                "gateway/purse.py",
                "Return(lease.lease_id, lease.free)",
                "Return(lease.lease_id, lease.free + lease.held)",
            ),
        ),
    ),
    # Recovery
    PlantedBug(
        "a call whose node died was free",
        (("gateway/adoption.py", "cost_nanos=reserve.hold_nanos,", "cost_nanos=0,"),),
    ),
    PlantedBug(
        "a node that died between two attempts leaves no row",
        (
            (
                "gateway/adoption.py",
                "self.open_attempts.pop((record.call_id, record.attempt.number), None)",
                "self.open_attempts.pop((record.call_id, self.latest_reserve.pop(record.call_id).attempt), None)",
            ),
        ),
    ),
    PlantedBug(
        "after a reboot leases go back whole",
        (("gateway/adoption.py", "rebooted = self.boot_id != boot_id", "rebooted = self.boot_id == None"),),
        ("tests/gateway/test_adoption.py", "-k", "reboot"),
    ),
    PlantedBug(
        "suspense is nowhere",
        (("core/ledger/posting.py", "suspense = returned if movement.suspended else 0", "suspense = 0"),),
        ("tests/control/test_batches.py", "tests/core/ledger/test_posting.py"),
    ),
    PlantedBug(
        "a recovered journal leaves its leases open",
        (("gateway/adoption.py", "self.open_leases[record.lease_id] = record.team_id", "pass"),),
    ),
    # Shipping and applying
    PlantedBug(
        "a batch is applied as often as it comes",
        (("control/journal_reading.py", "        if group.last_seq <= last_seq:\n            continue\n", ""),),
    ),
    PlantedBug(
        "a gap is passed over",
        (("control/journal_reading.py", "raise JournalGap(last_seq)", "pass"),),
        ("tests/control/test_batches.py", "-k", "gap or missing"),
    ),
    PlantedBug(
        "the shipper goes on behind a gap",
        (
            (
                "gateway/shipper.py",
                "                self._go_back(gap.last_seq)\n                continue\n",
                "                self._reader.advance()\n                continue\n",
            ),
        ),
        ("tests/gateway/test_shipper.py",),
    ),
    PlantedBug(
        "a call may have two rows",
        (("control/batches.py", "        await _set_doubles_aside(ledger, batch)\n", ""),),
        ("tests/control/test_batches.py",),
    ),
    PlantedBug(
        "a batch of reserves is never applied",
        (
            (
                "control/batches.py",
                "if (batch.last_seq, batch.chain) == applied:",
                "if not batch.records and not batch.unfit:",
            ),
        ),
    ),
    PlantedBug(
        "an event settles all its attempts",
        (
            (
                "core/ledger/posting.py",
                "return event.attempts[-event.settles :] if event.settles else ()",
                "return event.attempts",
            ),
        ),
    ),
    PlantedBug(
        "an event counts earlier attempts again",
        (
            (
                "control/posting.py",
                "sorted(self._movements.keys() | paying)",
                "sorted(self._movements)",
            ),
        ),
    ),
    PlantedBug(
        "what a lease does not cover is not posted",
        (("core/ledger/posting.py", "overrun = movement.settled - covered", "overrun = 0"),),
    ),
    PlantedBug(
        "a closed lease keeps its money",
        (
            (
                "core/ledger/posting.py",
                "returned = left if movement.closed else min(movement.returned, left)",
                "returned = min(movement.returned, left)",
            ),
        ),
    ),
    PlantedBug(
        "an interrupted transaction stays half done",
        (("store/sqlite.py", 'connection.execute("ROLLBACK")', 'connection.execute("COMMIT")'),),
        ("tests/store/test_sqlite.py", "tests/store/test_ledger_contract.py", "-k", "sqlite"),
    ),
    # What people see and do
    PlantedBug(
        "an alert fires again and again",
        (
            ("control/alerts.py", "        if name in fired:\n            continue\n", ""),
            (
                "store/alerts.py",
                "INSERT INTO alert",
                "INSERT OR IGNORE INTO alert",
            ),
        ),
        ("tests/control/test_batches.py", "-k", "threshold or alert"),
    ),
    PlantedBug(
        "what carries over is counted twice",
        (
            (
                "store/wallets.py",
                'for column, period in (("carried_out_nanos", key), ("carried_nanos", into)):',
                'for column, period in (("carried_nanos", into),):',
            ),
        ),
        ("tests/store/test_ledger_contract.py", "tests/control/test_tree.py", "-k", "carr"),
    ),
    PlantedBug(
        "what nodes have at hand carries over too",
        (("core/ledger/wallet.py", "return max(0, self.available)", "return max(0, self.available + self.leased)"),),
        ("tests/control/test_tree.py", "tests/control/test_wallet_moves.py", "-k", "carr"),
    ),
    PlantedBug(
        "a transfer makes money",
        (("control/wallet_moves.py", 'wallet, kind, -amount_nanos, "transfer"', 'wallet, kind, 0, "transfer"'),),
        ("tests/control/test_wallet_moves.py",),
    ),
    PlantedBug(
        "a child may be given what its parent has not",
        (("control/wallets.py", "        more_nanos <= 0\n", "        True\n"),),
        ("tests/control/test_tree.py", "tests/control/test_wallet_moves.py"),
    ),
    PlantedBug(
        "an escalated call goes on by its own word",
        (("control/escalations.py", "if goes_on else ticket.status", "if True else ticket.status"),),
        ("tests/control/test_escalations.py",),
    ),
    PlantedBug(
        "an approval lets two calls through",
        (("control/escalations.py", "ticket.used_by == request.call_id", "True"),),
        ("tests/control/test_escalations.py",),
    ),
    PlantedBug(
        "an approval is of any text",
        (("gateway/letting_through.py", "client.lines(door.passed), body)", "client.lines(door.passed))"),),
        ("tests/gateway/test_escalations.py",),
    ),
)
