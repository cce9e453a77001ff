"""F7, F8 and a part of F21: the ledger comes back older than it was, or not at all; journals complete it."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from tests.journeys.books import Event, events
from tests.journeys.processes import KT, until
from tests.soak.checker import check, close_books
from tests.soak.load import Load
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Account, Shape, Site, running_site
from tests.soak.trial import Trial

CALL_NANOS = 17_100
RECOVERED_WITHIN_S = 90.0
"""A recovery takes ten seconds at least, and until every node was heard."""

NOTICED_WITHIN_S = 20.0


def older_store(ground: Ground) -> Iterator[Trial]:
    """A backup from before the calls is put back while nodes hold and spend what it shows as free."""
    yield from _losing(ground, _SqliteBackup if ground.engine == "sqlite" else _PostgresBackup)


def lost_log(ground: Ground) -> Iterator[Trial]:
    """The API is killed and its write-ahead log is gone: SQLite opens what stood in the file before."""
    yield from _losing(ground, _LostLog)


class _SqliteBackup:
    """As ``sqlite3 ledger.db ".backup ..."`` does it beside a running API."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.copy = site.directory / "backup.db"
        self.copy.unlink(missing_ok=True)
        source = apsw.Connection(str(site.data_dir / "ledger.db"), flags=apsw.SQLITE_OPEN_READONLY)
        target = apsw.Connection(str(self.copy))
        with target.backup("main", source, "main") as backup:
            backup.step()
        target.close()
        source.close()

    def put_back(self) -> None:
        self._site.api.kill()
        for left in self._site.data_dir.glob("ledger.db*"):
            left.unlink()
        shutil.copyfile(self.copy, self._site.data_dir / "ledger.db")
        self._site.start_api()


class _PostgresBackup:
    """A copy of the whole cluster, made while it was stopped for a moment."""

    def __init__(self, site: Site) -> None:
        assert site.store is not None
        self._site, self._store = site, site.store
        self._store.save()

    def put_back(self) -> None:
        self._site.api.kill()
        self._store.put_back()
        self._site.start_api()


class _LostLog:
    """What is in the file itself at this moment survives; what comes after is in the log, unless SQLite folds it in."""

    def __init__(self, site: Site) -> None:
        self._site = site
        ledger = apsw.Connection(str(site.data_dir / "ledger.db"))
        ledger.set_busy_timeout(10_000)
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        ledger.close()

    def put_back(self) -> None:
        self._site.api.kill()
        for name in ("ledger.db-wal", "ledger.db-shm"):
            (self._site.data_dir / name).unlink(missing_ok=True)
        self._site.start_api()


def _losing(ground: Ground, backup: Callable[[Site], "_SqliteBackup | _PostgresBackup | _LostLog"]) -> Iterator[Trial]:
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for _ in range(ground.trials):
            account = site.account(CALL_NANOS * ground.draw.choice((60, 200, 1_000)))
            saved = backup(site)
            with Load(site, account, 8, seed=ground.draw.getrandbits(32), pause_s=0.02) as load:
                load.wait_served(ground.draw.randint(20, 80), enough=lambda a=account: bool(a.statuses.get(402)))  # type: ignore[misc]
                began = time.monotonic()
                saved.put_back()
                problems = _recovered(site)
                recovery_s = time.monotonic() - began
                _served_or_spent(site, account, load)
            yield check(site, account, problems=problems, recovery_s=recovery_s, within_s=60.0)
        yield close_books(site)


def _recovering(site: Site) -> bool:
    answer = site.admin("GET", "/v1/ledger/recovery")
    return answer.status == 200 and bool(answer.json["recovering"])


def _recovered(site: Site) -> list[str]:
    try:
        until(lambda: _recovering(site), "the loss is noticed", NOTICED_WITHIN_S)
        until(lambda: not _recovering(site), "the recovery ends by itself", RECOVERED_WITHIN_S)
    except AssertionError as late:
        return [str(late)[:200]]
    return []


def _served_or_spent(site: Site, account: Account, load: Load) -> None:
    refused = account.statuses.get(402, 0)
    load.wait_served(len(site.served_to(account)) + 1, 30.0, enough=lambda: account.statuses.get(402, 0) > refused)


def destroyed_store(ground: Ground) -> Iterator[Trial]:
    """The ledger is destroyed; ``kt ledger rebuild`` makes it again from the first backup and every node's journals: the
    rows are those that were there."""
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for _ in range(ground.trials):
            account = site.account(CALL_NANOS * 400)
            backup = _SqliteBackup(site)
            with Load(site, account, 8, calls_max=200, seed=ground.draw.getrandbits(32)) as load:
                load.wait_served(ground.draw.randint(50, 150))
            before = _rows(check_rows(site, account))
            began = time.monotonic()
            problems = _rebuild(site, backup.copy)
            recovery_s = time.monotonic() - began
            _recovered(site)
            trial = check(site, account, problems=problems, recovery_s=recovery_s)
            if _rows(events(site, team_id=account.team)) != before:
                trial = check(site, account, problems=[*problems, "the rebuilt rows are not those that were there"])
            yield trial
        yield close_books(site)


def check_rows(site: Site, account: Account) -> list[Event]:
    """The team's rows, once they are all there."""
    check(site, account)
    return events(site, team_id=account.team)


def _rows(found: list[Event]) -> dict[str, Event]:
    return {row["id"]: {name: value for name, value in row.items() if name != "gateway_key_name"} for row in found}


def _rebuild(site: Site, backup: Path) -> list[str]:
    site.api.kill()
    for left in site.data_dir.glob("ledger.db*"):
        left.unlink()
    journals = [word for gateway in site.gateways for word in ("--journals", str(gateway.data_dir))]
    command = [KT, "ledger", "rebuild", *journals, "--from", str(backup), "--to", str(site.data_dir / "ledger.db")]
    done = subprocess.run(command, env=site.env, capture_output=True, text=True, timeout=300, check=False)
    site.start_api()
    return [] if done.returncode == 0 else [f"kt ledger rebuild: {(done.stdout + done.stderr).strip()[-300:]}"]


SCENARIOS = (
    Scenario("F7", "older store put back", older_store, full=8),
    Scenario("F8", "store destroyed, rebuilt", destroyed_store, full=15, engines=("sqlite",)),
    Scenario("F21", "ledger without its -wal", lost_log, full=12, engines=("sqlite",), nodes=(1,)),
)
