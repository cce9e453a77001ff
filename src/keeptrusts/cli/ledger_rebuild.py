"""`kt ledger rebuild`: makes a ledger from a backup, or from nothing, and the journals of gateways, without the API."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keeptrusts.cli.failure import CANNOT_ASK, SAID_NO, Failure

if TYPE_CHECKING:
    from keeptrusts.control.rebuilding import Applied, Piece, Rebuilt

PIECE_BYTES = 1024 * 1024


def rebuild(
    journals: Annotated[
        list[Path], typer.Option(help="A gateway's data directory, or a journal's own. Give it once for each.")
    ],
    to: Annotated[Path, typer.Option(help="The ledger to make: a file that is not there yet.")],
    backup: Annotated[
        Path | None, typer.Option("--from", help="The backup to begin with; without it the ledger begins empty.")
    ] = None,
) -> None:
    """Make a ledger from a backup and the journals that gateways kept, by the rules that the API applies them by.

    Nothing but the new file is written. Stop the API first, and put the file in the place of its ledger.db afterwards.
    Exits with 0 when all journals are in it whole, 1 when something of them is missing, 2 when it cannot be done.
    """
    import asyncio

    directories = [directory for given in journals for directory in _journals_in(given.expanduser())]
    _copy(backup, to)
    applied, rebuilt = asyncio.run(_rebuilt(directories, to))
    print(_report(applied, rebuilt, to))
    raise typer.Exit(SAID_NO if any(each.trouble for each in applied) else 0)


def _journals_in(given: Path) -> list[Path]:
    for pattern in (".", "*", "gateway/journals/*"):
        found = sorted({path.parent for path in given.glob(f"{pattern}/*.journal")})
        if found:
            return found
    raise Failure(f"--journals: there is no journal in {given}: name a gateway's data directory")


def _copy(backup: Path | None, to: Path) -> None:
    import shutil

    if to.exists():
        raise Failure(f"--to: {to} is there already: name a new file")
    if backup is not None and not backup.is_file():
        raise Failure(f"--from: there is no file {backup}")
    if backup is not None and backup.with_name(backup.name + "-wal").exists():
        raise Failure(
            f"--from: {backup.name}-wal lies beside the backup: copy all three files, or use sqlite3's .backup"
        )
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        if backup is not None:
            shutil.copyfile(backup, to)
        to.touch(0o600)
        to.chmod(0o600)
    except OSError as trouble:
        raise Failure(f"--to: {to} can't be made: {trouble.strerror}", CANNOT_ASK) from None


async def _rebuilt(directories: list[Path], to: Path) -> "tuple[list[Applied], Rebuilt]":
    import apsw

    from keeptrusts.control.rebuilding import Rebuilding, new_ledger
    from keeptrusts.gateway.journal import segment_start, segments
    from keeptrusts.store.contracts import StoreAway
    from keeptrusts.store.migrate import UnknownSchema

    try:
        async with new_ledger(to) as store:
            rebuilding = Rebuilding(store)
            await rebuilding.begin()
            applied = []
            for directory in directories:
                first_seq, _ = segment_start(segments(directory)[0])
                applied.append(await rebuilding.add(directory.name, first_seq, _pieces(directory)))
            return applied, await rebuilding.end()
    except (StoreAway, UnknownSchema, apsw.Error, OSError) as trouble:
        raise Failure(f"cannot rebuild into {to}: {trouble}", CANNOT_ASK) from None


def _pieces(directory: Path) -> "Iterator[Piece]":
    """The journal's groups from the first on disk; the torn end of a last write is no part of it."""
    from keeptrusts.control.rebuilding import Piece
    from keeptrusts.core.ledger.journal_format import DamagedJournal
    from keeptrusts.gateway.journal_reader import JournalReader

    reader = JournalReader(directory)
    limit = PIECE_BYTES
    while True:
        try:
            data, first_seq, chain, next_seq = reader.read(limit)
        except DamagedJournal:
            if limit == 1:
                raise
            limit = 1  # group by group, up to the damaged one
            continue
        if not data:
            return
        yield Piece(data, first_seq, next_seq - 1, chain)
        reader.advance()


def _report(applied: "list[Applied]", rebuilt: "Rebuilt", to: Path) -> str:
    from keeptrusts.cli.columns import columns
    from keeptrusts.cli.printable import printable

    rows = [
        (printable(it.node_id), str(it.from_seq), str(it.to_seq), str(it.to_seq - it.from_seq), it.trouble or "whole")
        for it in applied
    ]
    lines = [columns(("Journal", "Had", "Now", "Applied", ""), rows), f"{rebuilt.events:,} rows were added to {to}."]
    if rebuilt.wallets:
        names = ", ".join(map(printable, rebuilt.wallets))
        lines.append(f"Made with a monthly budget of 0, since nothing says what they had: {names}. Allocate them anew.")
    if rebuilt.recovering:
        lines.append("It begins in recovery mode, until the gateways have been heard: see `kt ledger recovery status`.")
    return "\n".join(lines)
