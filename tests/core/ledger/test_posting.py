"""What a batch does to leases and periods: pure sums that lose nothing and never refuse the truth."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.ledger.posting import (
    LeaseBook,
    LeaseMovement,
    PeriodMovement,
    lease_movements,
    move_lease,
    resolve_lease,
    settled_attempts,
)
from keeptrusts.core.ledger.records import Close, CloseLease, Return
from tests.ledger_node import attempt, event

money = st.integers(0, 10**12)


@st.composite
def books(draw: st.DrawFn) -> LeaseBook:
    granted = draw(money)
    settled = draw(st.integers(0, granted))
    returned = draw(st.integers(0, granted - settled))
    suspended = draw(st.integers(0, returned))
    resolved = draw(st.integers(0, suspended))
    book = LeaseBook("lse_1", "node_1", "wal_1", granted, settled, returned, closed=False)
    return msgspec.structs.replace(book, suspended=suspended, resolved=resolved)


movements = st.builds(LeaseMovement, settled=money, returned=money, closed=st.booleans(), suspended=st.booleans())


@given(books(), movements)
def test_nothing_is_lost_and_nothing_is_made(lease: LeaseBook, movement: LeaseMovement) -> None:
    """L1: what leaves ``leased`` and suspense is posted, in suspense, or free again; all spend is posted or an overrun."""
    after, moved = move_lease(lease, movement)
    assert moved.posted + moved.overrun == movement.settled
    assert -moved.leased == lease.remainder - after.remainder
    assert moved.suspense == after.in_doubt - lease.in_doubt
    freed = -moved.leased - moved.posted - moved.suspense
    assert freed >= 0
    proven = after.resolved - lease.resolved
    assert after.settled - lease.settled + proven == moved.posted
    assert after.returned - lease.returned == freed + after.suspended - lease.suspended
    assert 0 <= after.resolved <= after.suspended <= after.returned
    assert 0 <= after.remainder <= lease.remainder
    assert after.granted == lease.granted


@given(books(), movements)
def test_closing_leaves_nothing_leased(lease: LeaseBook, movement: LeaseMovement) -> None:
    after, moved = move_lease(lease, movement)
    if movement.closed:
        assert (after.remainder, after.closed) == (0, True)
    if movement.suspended and movement.closed:
        assert moved.leased + moved.posted + moved.suspense == 0, "nobody can prove it unspent, so none of it is free"


@given(books(), movements, movements)
def test_an_overrun_needs_a_lease_that_has_no_more(
    lease: LeaseBook, first: LeaseMovement, second: LeaseMovement
) -> None:
    for movement in (first, second):
        after, moved = move_lease(lease, movement)
        if moved.overrun:
            assert moved.posted == lease.remainder + lease.in_doubt
        lease = after


@given(books(), money)
def test_accounting_for_what_is_in_doubt_posts_a_part_and_frees_the_rest(lease: LeaseBook, money_nanos: int) -> None:
    spent = min(money_nanos, lease.in_doubt)
    after, moved = resolve_lease(lease, spent)
    assert (after.in_doubt, after.remainder, after.settled) == (0, lease.remainder, lease.settled)
    assert (moved.posted, moved.suspense, moved.leased, moved.overrun) == (spent, -lease.in_doubt, 0, 0)
    assert moved.freed == (spent < lease.in_doubt)


def test_what_an_approved_call_did_not_use_is_not_approved_any_more() -> None:
    lease = LeaseBook("lse_1", "node_1", "wal_1", 100, 0, 100, True, ticket_id="tkt_1", suspended=100)
    _, moved = resolve_lease(lease, 30)
    assert moved == PeriodMovement(posted=30, suspense=-100, approved=-70)
    assert not moved.freed


def test_a_batch_is_summed_by_lease() -> None:
    found = lease_movements(
        [
            Close("evt_1", attempt("lse_1", 5, number=1)),
            event("evt_1", (attempt("lse_1", 5, number=1), attempt("lse_2", 7, number=2))),
            event("evt_2", (attempt(None, 100),)),
            event("evt_3"),
            Return("lse_2", 4),
            Return("lse_2", 1),
            CloseLease("lse_3", "team_a"),
        ]
    )
    assert found == {
        "lse_1": LeaseMovement(settled=5),
        "lse_2": LeaseMovement(settled=7, returned=5),
        "lse_3": LeaseMovement(closed=True, team_id="team_a"),
    }


def test_an_event_settles_only_the_attempts_that_had_no_record_of_their_own() -> None:
    tries = tuple(attempt("lse_1", n, number=n) for n in (1, 2, 3))
    assert settled_attempts(event("evt_1", tries)) == tries[2:]
    assert settled_attempts(event("evt_1", tries, settles=0)) == ()
