"""What an error of PostgreSQL means for whoever asked: done again at once, done again later, or a fault of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from asyncpg import exceptions as said

from keeptrusts.store.contracts import StoreAway, StoreConflict

CONFLICTS = (
    said.SerializationError,
    said.DeadlockDetectedError,
    said.UniqueViolationError,
    said.ExclusionViolationError,
)
"""Another writer was faster; the transaction was rolled back."""

AWAY = (
    said.PostgresConnectionError,  # 08: lost, refused
    said.InsufficientResourcesError,  # 53: too many connections, disk or memory full
    said.OperatorInterventionError,  # 57: shut down, starting, a statement that took too long
    said.ReadOnlySQLTransactionError,  # 25006: a standby, or set read-only
    said.IdleInTransactionSessionTimeoutError,
    said.LockNotAvailableError,
    said.InvalidAuthorizationSpecificationError,  # 28: a password that was changed
    said.InvalidCatalogNameError,
    said.TargetServerAttributeNotMatched,
    said.InternalClientError,
    asyncpg.InterfaceError,
    OSError,  # with ConnectionError and TimeoutError
)
"""Conditions that may pass: the caller should try again later."""

READ_ONLY = (said.ReadOnlySQLTransactionError, said.TargetServerAttributeNotMatched)


@contextmanager
def as_store_errors() -> Iterator[None]:
    """Raises StoreConflict or StoreAway for what is not a fault of ours. No message has a value of a row, or a password."""
    try:
        yield
    except CONFLICTS as error:
        raise StoreConflict(_conflict(error)) from error
    except READ_ONLY as error:
        raise StoreAway(
            "the ledger's PostgreSQL is a standby or read-only: money is decided on the primary alone"
        ) from error
    except AWAY as error:
        raise StoreAway(f"the ledger's PostgreSQL can't answer now: {_line(error)}") from error


def _conflict(error: asyncpg.PostgresError) -> str:
    constraint = getattr(error, "constraint_name", None)
    if constraint:
        return f"another writer was first: what is unique in {constraint} exists already"
    return f"another writer was first: {_line(error)}"


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
