"""The foreign provider's price list, and its own record of what it served and bills, one line for each answer."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.providers.foreign_ask import Plan


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-USD per token. ``thinking`` None: it costs what other output costs."""

    provider: str
    input: int
    output: int
    read: int
    write: int
    hour: int
    thinking: int | None = None


RATES = {
    "gpt-5-mini": Rates("openai", 250_000, 2_000_000, 25_000, 312_500, 500_000),
    "gpt-4.1-azure": Rates("azure", 2_000_003, 8_000_001, 500_007, 2_500_009, 4_000_000),
    "llama-3.3-70b": Rates("openai-compatible", 590_000, 790_000, 59_000, 590_000, 590_000),
    "claude-haiku-4-5": Rates("anthropic", 3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000),
    "gemini-2.5-flash": Rates("gemini", 300_001, 2_500_003, 75_000, 300_001, 300_001, 3_500_007),
    "anthropic.claude-haiku-4-5-20251001-v1:0": Rates("bedrock", 1_100_000, 5_500_000, 110_000, 1_375_000, 2_200_000),
}
"""By model. Some are odd on purpose, so that a sum that is rounded too often differs from one that is rounded once."""

EMBEDDING_MODELS = {
    "text-embedding-3-small": Rates("openai", 20_000, 0, 20_000, 20_000, 20_000),
}

KEYED_MODELS = {
    "amazon.nova-lite-v1:0": Rates("bedrock", 60_000, 240_000, 15_000, 60_000, 60_000),
}
"""Models that are called with an API key, where others of their provider's are called with a signature."""


@dataclass(frozen=True, slots=True)
class Billed:
    """One answer that is billed, and the request as it was understood (``heard``). ``nanos``: the bill, where it is not one
    for words."""

    request_id: str
    provider: str
    route: str
    model: str
    stream: bool
    plain: int
    read: int
    write: int
    hour: int
    output: int
    thinking: int
    heard: dict[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    nanos: int | None = None

    @property
    def input(self) -> int:
        return self.plain + self.read + self.write + self.hour

    @property
    def cost_nanos(self) -> int:
        """By list price, worked out apart from the product's own arithmetic; rounded up once."""
        if self.nanos is not None:
            return self.nanos
        rates = {**RATES, **EMBEDDING_MODELS, **KEYED_MODELS}[self.model]
        said = self.output - self.thinking
        picos = self.plain * rates.input + self.read * rates.read + self.write * rates.write + self.hour * rates.hour
        picos += said * rates.output
        picos += self.thinking * (rates.output if rates.thinking is None else rates.thinking)
        return -(-picos // 1_000)


def bill(plan: Plan, provider: str, route: str, headers: dict[str, str]) -> Billed:
    """The bill of an answer."""
    counts = plan.counts
    # Bedrock's figures don't tell thinking apart, so neither does its bill.
    return Billed(
        headers.get("x-request-id", ""),
        provider,
        route,
        plan.heard.model,
        plan.heard.stream,
        counts.plain,
        counts.read,
        counts.write,
        counts.hour,
        counts.output,
        0 if provider == "bedrock" else counts.thinking,
        asdict(plan.heard),
        tuple(sorted(headers)),
    )


def read_bills(path: Path, start: int = 0) -> tuple[list[Billed], int]:
    """The entries from byte ``start`` on, and where the next ones will begin; a line still being written is left out."""
    if not path.exists():
        return [], start
    with path.open("rb") as log:
        log.seek(start)
        data = log.read()
    whole = data[: data.rfind(b"\n") + 1]
    entries = map(json.loads, whole.splitlines())
    return [Billed(**{**entry, "headers": tuple(entry["headers"])}) for entry in entries], start + len(whole)
