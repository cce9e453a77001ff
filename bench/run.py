"""`make bench`: every gateway in turn, round after round, on this machine alone; then the tables.

Traffic goes to 127.0.0.1 only; everything that is started is stopped, also on Ctrl-C and on errors.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench.control_plane import Amounts, measure_control_plane
from bench.control_plane_report import render_control_plane
from bench.cores import Cores, TooFewCores, choose_cores
from bench.ledger_site import BooksWrong
from bench.machine import describe_machine
from bench.measure import How, WrongAnswers, measure
from bench.mock_child import mock_provider
from bench.peers.field import FIELD
from bench.peers.gateway import Gateway, NotAvailable, Running, Site
from bench.peers.starting import PROBES, get
from bench.report import render
from bench.results import Measurement, Results, Settings
from bench.results_page import write_control_plane, write_page
from bench.scenarios import SCENARIOS, Scenario


def main() -> int:
    """Measure, print, and write what was asked for."""
    options = _options()
    signal.signal(signal.SIGTERM, _stop)
    if options.control_plane:
        return _control_plane(options)
    try:
        cores = choose_cores()
    except TooFewCores as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    os.sched_setaffinity(0, {cores.load})
    settings = Settings(options.rounds, options.quick, cores.load, cores.gateway)
    results = Results(describe_machine(), settings)
    field = _install(options.only, options.home, results)
    scenarios = [one for one in SCENARIOS if options.scenarios is None or one.name in options.scenarios]
    try:
        with tempfile.TemporaryDirectory(prefix="run-", dir=options.home) as folder:
            _rounds(results, field, scenarios, cores, Path(folder), options.home)
    except KeyboardInterrupt:
        print("bench: stopped; nothing was written", file=sys.stderr)
        return 130
    print("\n" + render(results))
    results.save(options.json)
    print(f"All figures: {options.json}")
    if options.write:
        print(f"Written: {write_page(results)}")
    return 0


def _control_plane(options: argparse.Namespace) -> int:
    """The part that measures the control plane alone: it needs no peers, and all cores."""
    amounts = Amounts(calls=4_000, burst=8_000, rounds=1) if options.quick else Amounts(rounds=options.rounds)
    before = os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory(prefix="run-", dir=options.home) as folder:
            found = measure_control_plane(Path(folder), amounts)
    except KeyboardInterrupt:
        print("bench: stopped; nothing was written", file=sys.stderr)
        return 130
    except BooksWrong as error:
        print(f"bench: the ledger is wrong: {error}", file=sys.stderr)
        return 1
    section = render_control_plane(found, describe_machine(), (before, os.getloadavg()[0]))
    print("\n" + section)
    if options.write:
        print(f"Written: {write_control_plane(section)}")
    return 0


def _install(wanted: Sequence[Gateway], home: Path, results: Results) -> list[Gateway]:
    field = []
    for gateway in wanted:
        _say(f"setting up {gateway.name}")
        try:
            results.versions[gateway.name] = gateway.install(_home_of(gateway, home))
            results.about[gateway.name] = gateway.about
            field.append(gateway)
        except (NotAvailable, OSError) as error:
            _not_available(results, gateway, str(error))
    return field


def _rounds(
    results: Results, field: list[Gateway], scenarios: Sequence[Scenario], cores: Cores, folder: Path, home: Path
) -> None:
    rounds = results.settings.rounds
    with mock_provider(cores, folder) as mock:
        for number in range(1, rounds + 1):
            for gateway in list(field):
                site_folder = folder / f"{number}-{gateway.name.replace(', ', '-').replace(' ', '-')}"
                site_folder.mkdir()
                site = Site(mock, site_folder, _home_of(gateway, home), cores)
                _say(f"round {number} of {rounds}: {gateway.name}")
                try:
                    _turn(results, gateway, site, scenarios, number)
                except (NotAvailable, OSError) as error:
                    field.remove(gateway)
                    _not_available(results, gateway, str(error))


def _turn(results: Results, gateway: Gateway, site: Site, scenarios: Sequence[Scenario], number: int) -> None:
    """One gateway's turn in one round: start, all its scenarios, audit, stop."""
    started = time.monotonic()
    with gateway.serve(site) as running:
        results.ready_s.setdefault(gateway.name, []).append(time.monotonic() - started)
        calls = PROBES
        clean = True
        for scenario in scenarios:
            if not _takes_part(results, gateway, scenario):
                continue
            how = How(results.settings.open_loop_rate_per_s, results.settings.quick)
            served_before = _served(site)
            try:
                figures, answered = measure(gateway, running, scenario, site, how)
                if gateway.cached and (missed := _served(site) - served_before):
                    raise WrongAnswers(f"{missed} of {answered} cached calls reached the provider")
            except WrongAnswers as error:
                clean = False
                results.discard(gateway.name, scenario.name)
                _not_available(results, gateway, f"in scenario {scenario.name}: {error}")
                continue
            calls += answered
            if scenario.name == "call" and not results.settings.open_loop_rate_per_s:
                results.settings.open_loop_rate_per_s = figures.calls_per_s / 2
            results.measurements.append(Measurement(gateway.name, scenario.name, number, figures))
            _say(f"  {scenario.name}: {figures.cpu_us:,.1f} us CPU, {figures.calls_per_s:,.0f} calls/s")
        if clean:
            _audit(results, gateway, running, calls, number)


def _audit(results: Results, gateway: Gateway, running: Running, calls: int, number: int) -> None:
    if running.audit is None:
        return
    try:
        found = running.audit(calls)
    except AssertionError as error:
        found = f"BOOKS DO NOT AGREE: {error}"
    results.audits.append(f"{gateway.name}, round {number}: {found}")
    _say(f"  {found}")


def _takes_part(results: Results, gateway: Gateway, scenario: Scenario) -> bool:
    if scenario.open_loop and not results.settings.open_loop_rate_per_s:
        return False
    asked = scenario.only is None or gateway.name in scenario.only
    return asked and (gateway.scenarios is None or scenario.name in gateway.scenarios)


def _not_available(results: Results, gateway: Gateway, reason: str) -> None:
    results.not_available[gateway.name] = reason
    _say(f"{gateway.name} is not available: {reason}")


def _served(site: Site) -> int:
    return int(get(site.mock.port, "/served")[1])


def _home_of(gateway: Gateway, home: Path) -> Path:
    return home / gateway.name.split(",")[0]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    names = [gateway.name for gateway in FIELD]
    scenarios = [scenario.name for scenario in SCENARIOS]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keeptrusts-bench"

    def some_of(known: Sequence[str], given: str) -> list[str]:
        chosen = [name.strip() for name in given.split(";" if ";" in given else ",")]
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return chosen

    parser = argparse.ArgumentParser(prog="make bench", description="What a governed call costs beside other gateways.")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; the tables show medians")
    parser.add_argument("--only", type=lambda given: some_of(names, given), help="gateways: " + "; ".join(names))
    parser.add_argument("--scenarios", type=lambda given: some_of(scenarios, given), help="; ".join(scenarios))
    parser.add_argument("--control-plane", action="store_true", help="how fast journals are applied, and nothing else")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--json", type=Path, default=home / "results.json", help="where all figures go")
    parser.add_argument("--write", action="store_true", help="also replace bench/RESULTS.md")
    options = parser.parse_args()
    if not 1 <= options.rounds <= 100:
        parser.error("--rounds: between 1 and 100")
    options.rounds = 1 if options.quick else options.rounds
    options.only = [one for one in FIELD if options.only is None or one.name in options.only]
    options.home = home
    home.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    sys.exit(main())
