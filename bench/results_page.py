"""RESULTS.md: the tables of one run with all that is needed to judge and to repeat it."""

from pathlib import Path

from bench.report import render
from bench.results import Results

PAGE = Path(__file__).with_name("RESULTS.md")

_HEAD = """# Benchmark results

Written by `make bench ARGS=--write`; [README.md](README.md) says what is measured and how.

| | |
|---|---|
| processor | {processor} |
| memory | {memory} |
| system | {system} |
| Python | {python} |
| code | commit {commit} |
| date | {date} |
| rounds | {rounds}, interleaved; figures are medians of the rounds{quick} |
| cores | the gateway alone on core {gateway_core}, one worker; mock provider and load together on core {load_core} |

"""
_CONTROL_PLANE = "\n<!-- written by `make bench ARGS='--control-plane --write'` -->\n\n"
_READING = """
## How to read this

- **CPU us** is user and kernel time of all the gateway's processes, divided by the calls (or events) it answered; the
  work it does after the last answer (shipping, logging) is in it. It is the figure that a noisy machine spares most.
- **x nginx** compares it with nginx's in the same run: the one number to carry to another machine.
- **calls/s** is what came through. Where the core was not busy, the load generator was the limit, not the gateway.
- Latencies at 32 at a time are mostly queueing behind one saturated core. For what a gateway adds to a call, read the
  first-byte table and the open-loop table, whose latencies count from the moment a call was due.
- **direct** is the mock provider without a gateway.
- The gateways do different amounts of work: the table of who took part says what each one does and does not do.
- Every answer was checked. A gateway with one wrong answer in a scenario has no figures there.
"""


def write_page(results: Results) -> Path:
    """Replace RESULTS.md by this run; what another run says of the control plane stays."""
    how = results.settings
    facts: dict[str, object] = {"rounds": how.rounds, "gateway_core": how.gateway_core, "load_core": how.load_core}
    facts["quick"] = "; a quick run, too short to quote" if how.quick else ""
    rest = PAGE.read_text().partition(_CONTROL_PLANE)[1:] if PAGE.exists() else ()
    PAGE.write_text(_HEAD.format(**results.machine, **facts) + render(results) + _READING + "".join(rest))
    return PAGE


def write_control_plane(section: str) -> Path:
    """Replace what RESULTS.md says of the control plane."""
    before = PAGE.read_text().partition(_CONTROL_PLANE)[0]
    PAGE.write_text(before + _CONTROL_PLANE + section)
    return PAGE
