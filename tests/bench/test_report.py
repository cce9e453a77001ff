"""The tables say what was measured, and say it when something was not."""

from bench.measure import Figures
from bench.peers.field import BASELINE, BUSY_BASELINE, NOTHING_BETWEEN, OURS
from bench.report import render
from bench.results import Measurement, Results, Settings

MACHINE = {"processor": "two cores"}


def figures(cpu_us: float, first_byte_us: float = 100.0) -> Figures:
    return Figures(1000, 500.0, cpu_us, cpu_us / 2, 0.95, 0.0, 30.0, 900.0, 2000.0, 3000.0, first_byte_us, 400.0)


def results(*measured: tuple[str, str, float]) -> Results:
    found = Results(MACHINE, Settings(rounds=1, quick=False, load_core=0, gateway_core=1))
    found.measurements = [Measurement(who, what, 1, figures(cpu_us)) for who, what, cpu_us in measured]
    return found


def row(text: str, start: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_gateway_is_compared_with_nginx_of_the_same_run():
    text = render(results((OURS, "call", 45.0), (BASELINE, "call", 15.0)))
    assert row(text, OURS)[-1] == "3.0"


def test_calls_are_compared_with_the_busy_nginx_when_there_is_one():
    """An nginx that idles between calls costs more a call and would make us look better."""
    text = render(results((OURS, "call", 45.0), (BASELINE, "call", 15.0), (BUSY_BASELINE, "call", 10.0)))
    assert row(text, OURS)[-1] == "4.5"


def test_without_nginx_there_is_no_ratio():
    assert row(render(results((OURS, "call", 45.0))), OURS)[-1] == "-"


def test_medians_are_taken_over_the_rounds():
    found = results()
    found.measurements = [Measurement(OURS, "call", n, figures(cpu)) for n, cpu in enumerate((40.0, 90.0, 44.0))]
    assert row(render(found), OURS)[1] == "44.0"


def test_the_first_byte_is_told_as_what_the_gateway_adds():
    found = results()
    found.measurements = [
        Measurement(OURS, "alone", 1, figures(1.0, first_byte_us=350.0)),
        Measurement(NOTHING_BETWEEN, "alone", 1, figures(1.0, first_byte_us=100.0)),
    ]
    assert row(render(found), OURS)[-1] == "250"


def test_a_gateway_that_is_missing_is_named_with_the_reason():
    found = results()
    found.not_available["litellm"] = "node is not on this machine"
    assert "- **litellm**: node is not on this machine" in render(found)


def test_wrong_answers_in_one_round_take_all_rounds_of_that_scenario_away():
    found = results((OURS, "call", 45.0), (OURS, "stream", 90.0))
    found.discard(OURS, "call")
    assert found.median(OURS, "call") is None
    assert found.median(OURS, "stream") is not None


def test_the_bars_say_whether_they_are_reached():
    text = render(results((OURS, "call", 50.0), (BASELINE, "call", 12.0)))
    assert row(text, "CPU per call, first bar")[-1] == "yes"
    assert row(text, "CPU per call, goal")[-1] == "no"
