"""wrk, a load generator in C: it does not look at answers, so their sizes must add up to the byte."""

import json
import os
import subprocess
from pathlib import Path

from bench.peers.gateway import NotAvailable, Running
from bench.peers.installing import debian_packages
from bench.peers.starting import ask_once
from bench.requests import Ask, request_bytes
from bench.tally import Tally

_CONNECTIONS = 32
_SCRIPT = """
wrk.method = "POST"
wrk.body = {body}
wrk.headers["content-type"] = "application/json"
function done(summary, latency, requests)
  local e = summary.errors
  local errors = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format('\\n{{"calls":%d,"bytes":%d,"duration_us":%d,"errors":%d,"latencies_us":[0',
    summary.requests, summary.bytes, summary.duration, errors))
  for share = 0.1, 99.9, 0.1 do io.write(",", latency:percentile(share)) end
  io.write("]}}\\n")
end
"""


def install_wrk(home: Path) -> str:
    """Unpack Debian's wrk in `home`; returns its version. Raises NotAvailable."""
    debian_packages(home, ["wrk", "libluajit-5.1-2", "libluajit-5.1-common"])
    said = _run(home, ["-v"], 10)
    if not said.startswith("wrk"):
        raise NotAvailable("wrk does not run here: " + said.strip()[:200])
    return "wrk " + said.split()[1].removeprefix("debian/")


def drive_with_wrk(home: Path, running: Running, seconds: float) -> Tally:
    """Drive the whole-answer request closed-loop. Answers that are not of the one right size count as errors."""
    request = request_bytes(running.address, Ask())
    script = running.child.folder / "wrk.lua"
    script.write_text(_SCRIPT.format(body=json.dumps(request.partition(b"\r\n\r\n")[2].decode())))
    duration_s = max(1, round(seconds))
    url = f"http://127.0.0.1:{running.address.port}{running.address.path}"
    options = ["-t1", f"-c{_CONNECTIONS}", f"-d{duration_s}s", "-s", str(script), url]
    said = _run(home, options, duration_s + 30)
    try:
        counted = json.loads(said.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise NotAvailable("wrk said: " + said.strip()[-200:]) from error
    latencies_s = sorted(microseconds / 1e6 for microseconds in counted["latencies_us"][1:])
    tally = Tally(counted["duration_us"] / 1e6, counted["calls"], counted["errors"], "", latencies_s, latencies_s)
    expected = ask_once(running.address, Ask()).length_bytes * counted["calls"]
    if counted["errors"] or counted["bytes"] != expected:
        tally.failed(f"{counted['bytes']} bytes came for {counted['calls']} calls; right answers have {expected}")
    return tally


def _run(home: Path, options: list[str], time_out_s: float) -> str:
    folders = {str(library.parent) for library in home.glob("usr/lib/**/libluajit*.so*")}
    environment = {"PATH": os.defpath, "LD_LIBRARY_PATH": ":".join(folders)}
    program = str(home / "usr/bin/wrk")
    try:
        done = subprocess.run(
            [program, *options], env=environment, capture_output=True, text=True, timeout=time_out_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotAvailable(f"wrk: {error}") from error
    return done.stdout + done.stderr
