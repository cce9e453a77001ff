"""What `kt audit verify` was asked to hold a ledger against: which database, whose keys, which witnesses; and the check itself."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from keeptrusts.cli.failure import CANNOT_ASK, SAID_NO, Failure
from keeptrusts.control.inspecting import Witness, inspect
from keeptrusts.control.proving import prove_event
from keeptrusts.core.audit.findings import Report
from keeptrusts.core.audit.proof import Proof, faults
from keeptrusts.store.books import SqlStore
from keeptrusts.store.contracts import StoreAway
from keeptrusts.store.data_dir import DATABASE
from keeptrusts.store.migrate import UnknownSchema
from keeptrusts.store.postgres import DatabaseUrlInvalid, told_without_password
from keeptrusts.store.reading import ledger_at
from keeptrusts.store.seal import PUBLIC_KEYS, WITNESS, read_witness

KEY = re.compile(r"[0-9a-f]{64}")
PROOF_BYTES_MAX = 16 * 1024 * 1024
SEEN = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Check:
    """``place`` is a file or a URL, and ``shown`` how it may be told. ``trusted`` None: there is no key to hold signatures
    against; ``keys_from`` says where they are from."""

    place: Path | str = field(repr=False)
    shown: str
    trusted: frozenset[str] | None
    keys_from: str | None
    witnesses: Sequence[Witness]


def asked_check(home: Path, database: str | None, public_key: Path | None, witnesses: Sequence[str]) -> Check:
    """The check that these options mean. Raises Failure when one of them can't be right."""
    seen = [_witness(text) for text in witnesses]
    if database is not None and "://" in database:
        try:
            shown = told_without_password(database)
        except DatabaseUrlInvalid as error:
            raise Failure(f"--database: {error}") from None
        # Whose keys and witness are in the data directory nobody can tell from here: they are given, or they don't count.
        return Check(
            database, shown, _keys(public_key) if public_key else None, str(public_key) if public_key else None, seen
        )
    file = (home / DATABASE if database is None else Path(database).expanduser()).absolute()
    if not file.is_file():
        raise Failure(f"no ledger at {file}: name it with --database, or its directory with --data-dir")
    # Keys and witness of a directory speak of that directory's own ledger, not of any other.
    own = file == (home / DATABASE).absolute()
    keys = public_key or (home / PUBLIC_KEYS if own and (home / PUBLIC_KEYS).exists() else None)
    kept = read_witness(home / WITNESS) if own else None
    if kept is not None:
        seen.append(Witness(*kept, f"{home / WITNESS}"))
    return Check(file, str(file), None if keys is None else _keys(keys), None if keys is None else str(keys), seen)


async def run_check(check: Check) -> Report:
    """Holds the ledger against it. Raises Failure when the database can't be read."""
    async with _opened(check) as store:
        return await inspect(store, check.trusted, check.witnesses)


async def proof_of(home: Path, database: str | None, event_id: str) -> dict[str, Any]:
    """The proof of one event, as JSON has it. Raises Failure when there is none."""
    check = asked_check(home, database, None, ())
    async with _opened(check) as store:
        proof = await prove_event(store, event_id)
    if isinstance(proof, str):
        raise Failure(proof, SAID_NO)
    found: dict[str, Any] = msgspec.to_builtins(proof)
    return found


def faults_of_proof(file: Path, public_key: Path) -> tuple[Proof, list[str]]:
    """The proof in a file, and why it does not hold. Raises Failure when there is none to be read."""
    trusted = _keys(public_key)
    try:
        with file.open("rb") as opened:
            proof = msgspec.json.decode(opened.read(PROOF_BYTES_MAX), type=Proof)
    except OSError as trouble:
        raise Failure(f"cannot read {file}: {trouble.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as trouble:
        raise Failure(f"{file} holds no proof: {trouble}") from None
    return proof, faults(proof, trusted)


@asynccontextmanager
async def _opened(check: Check) -> AsyncIterator[SqlStore]:
    try:
        async with ledger_at(check.place) as store:
            yield store
    except (StoreAway, UnknownSchema, DatabaseUrlInvalid) as trouble:
        raise Failure(f"cannot verify {check.shown}: {trouble}", CANNOT_ASK) from None


def _keys(file: Path) -> frozenset[str]:
    try:
        words = file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as trouble:
        why = trouble.strerror if isinstance(trouble, OSError) else "it is not text"
        raise Failure(f"--public-key: cannot read {file}: {why}") from None
    bad = [word for word in words if not KEY.fullmatch(word)]
    if bad or not words:
        raise Failure(f"--public-key: {file} holds public keys of 64 hex digits, one a line, as audit-keys.pub does")
    return frozenset(words)


def _witness(text: str) -> Witness:
    found = SEEN.fullmatch(text)
    if not found:
        raise Failure(f"--witness is NUMBER:HASH, as `kt audit checkpoints` shows them, not {text[:100]!r}")
    return Witness(int(found[1]), found[2], "the witness that you gave")
