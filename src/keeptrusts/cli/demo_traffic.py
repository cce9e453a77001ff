"""The trickle of calls behind `kt up --demo`, a process of its own: `python -m keeptrusts.cli.demo_traffic PORT KEYS_FILE`."""

import http.client
import json
import os
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from keeptrusts.cli.demo import kept_keys
from keeptrusts.supervisor.lifeline import hold_lifeline

CALLS_MAX = 1_500
INTERVAL_S = 0.6
TIMEOUT_S = 30.0
OUTPUT_TOKENS_MAX = 120


class Call(NamedTuple):
    """One call of the sample traffic."""

    key: str
    model: str
    prompt: str


SCRIPT = (
    Call("demo-search-prod", "gpt-4o-mini", "Rank these ten results for the query 'waterproof trail shoes'."),
    Call("demo-search-prod", "gpt-4o-mini", "Rewrite the query 'cheap flights tokyo april' for a product search."),
    Call("demo-support-bot", "gpt-4o-mini", "A customer asks where order 4711 is. Answer in two friendly sentences."),
    Call("demo-search-dev", "gpt-4o", "Summarise this product description in one line: a tent for two, 1.9 kg, green."),
    Call("demo-platform", "gpt-4o-mini", "Review this change: rename a variable and add a test."),
    Call("demo-search-prod", "gpt-4o-mini", "Which of these titles fits the query 'quiet mechanical keyboard' best?"),
    Call("demo-analytics", "gpt-4o", "Write the weekly digest: traffic up 4 %, returns down 1 %, two outages."),
    Call("demo-support-bot", "gpt-4o", "Explain our refund policy to somebody who bought a broken kettle last week."),
    Call("demo-search-prod", "gpt-4o-mini", "Suggest three filters for the category 'garden furniture'."),
    Call("demo-platform", "gpt-4o", "Explain this failing build."),  # a model that this key may not call
    Call("demo-platform", "gpt-4o-mini", "Name the functions that changed most this month."),
    Call("demo-support-bot", "gpt-4o-mini", "Translate to German: your parcel will arrive on Thursday."),
)


def run(port: int, keys: dict[str, str], calls_max: int = CALLS_MAX, interval_s: float = INTERVAL_S) -> None:
    """Goes through the script again and again, one call after the other, ``calls_max`` in all. Refusals are part of it."""
    for call in islice(cycle(SCRIPT), calls_max):
        if call.key in keys:
            _send(port, keys[call.key], call)
        time.sleep(interval_s)


def _send(port: int, secret: str, call: Call) -> None:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    body = {
        "model": call.model,
        "messages": [{"role": "user", "content": call.prompt}],
        "max_tokens": OUTPUT_TOKENS_MAX,
    }
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    try:
        line.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        line.getresponse().read()
    except (OSError, http.client.HTTPException):
        return  # the gateway is being started again; the next call will find it
    finally:
        line.close()


if __name__ == "__main__":
    hold_lifeline(os.environ)
    run(int(sys.argv[1]), kept_keys(Path(sys.argv[2])))
