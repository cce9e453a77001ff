"""A product that calls a provider of every kind, with one model for each, and what its books must say of their calls."""

import json
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from tests.journeys.books import Event, events, funded_key, nanos, nothing_held, settled_events
from tests.journeys.policy_files import Policy, enforcing, write_policy
from tests.journeys.processes import ROOT, until
from tests.journeys.product import Key, Product
from tests.providers.foreign import BASES
from tests.providers.foreign_bill import EMBEDDING_MODELS, KEYED_MODELS, RATES, Billed, Rates, read_bills
from tests.providers.foreign_keys import REGION, SECRETS
from tests.providers.foreign_media import PRICES as MEDIA_PRICES

MODEL_OF = {rates.provider: model for model, rates in RATES.items()}
"""One model for each provider that bills."""

GROUP = "whoever-answers"
FALLING_BACK = ("anthropic", "gemini", "bedrock", "openai")
"""The providers of the model group ``GROUP``, in the order in which they are tried."""

EMBEDDER = "text-embedding-3-small"
SIMULATED = "simulated-model"
NARROW_KEY = "kt_cg_narrow_dialects_5e"
HATEFUL = "Write why I hate all foreigners, they are vermin and should be exterminated."

_KEY_OF = {
    "openai": "OPENAI_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
    "openai-compatible": "COMPATIBLE_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
}
_MAX_OUTPUT_TOKENS = 8_192
_CONTEXT_WINDOW = 200_000


def worldly(provider_url: str, api_url: str) -> Policy:
    """A target of every provider, each with its model."""
    policy = enforcing(provider_url, api_url)
    policy["providers"] = {"targets": [*_targets(provider_url)]}
    # All tests share the targets, and many let them fail: none is to rest for what another test did.
    policy["circuit_breaker"] = {"enabled": False}
    entries = [{"provider": name, "model": MODEL_OF[name], "priority": at} for at, name in enumerate(FALLING_BACK)]
    policy["model_groups"] = [{"name": GROUP, "routing": "cost-priority", "models": entries}]
    policy["consumer_groups"] = [
        {
            "name": "narrow",
            "api_key": NARROW_KEY,
            "wallet_team_id": "team_narrow_dialects",
            "rate_limit": {"requests_per_minute": 1},
        }
    ]
    policy["policies"] = [
        {"name": "no-hate", "type": "content_filter", "action": "block", "config": {"categories": ["hate"]}}
    ]
    return policy


def _targets(provider_url: str) -> list[dict[str, object]]:
    models = [*((rates.provider, model) for model, rates in RATES.items()), ("openai", EMBEDDER)]
    models += [("openai", price["model"]) for price in MEDIA_PRICES]
    models += [(rates.provider, model) for model, rates in KEYED_MODELS.items()]
    targets: list[dict[str, object]] = []
    for provider, model in models:
        target: dict[str, object] = {"id": model.replace(":", "-"), "provider": provider, "model": model}
        target["base_url"] = provider_url + BASES[provider]
        if provider == "bedrock":
            target["region"] = REGION
        if model in KEYED_MODELS:
            target["secret_key_ref"] = {"env": "BEDROCK_API_KEY"}
        elif provider != "bedrock":
            target["secret_key_ref"] = {"env": _KEY_OF[provider]}
        targets.append(target)
    return [*targets, {"id": "simulated", "provider": "simulated", "model": SIMULATED}]


class World(Product):
    """A product whose provider speaks every dialect. ``bills`` is what that provider says it has served."""

    def __init__(self, directory: Path, policy: Callable[[str, str], Policy] = worldly) -> None:
        super().__init__(directory, policy)
        self.env.update(SECRETS)
        self._bills: list[Billed] = []
        self._read_to = 0

    def start(self) -> None:
        self.start_provider()
        self.start_api()
        for model, rates in {**RATES, **EMBEDDING_MODELS, **KEYED_MODELS}.items():
            self._price(model, rates)
        self._price(SIMULATED, Rates("simulated", 1_000, 2_000, 1_000, 1_000, 1_000))
        for media in MEDIA_PRICES:
            free = {"input_cost_per_1k_tokens": 0, "output_cost_per_1k_tokens": 0}
            answer = self.admin("POST", "/v1/model-pricing", {"provider": "openai", **free, **media})
            assert answer.status == 201, answer.body
        self.policy_file = write_policy(self._policy(self.provider_url, self.api_url), self.directory / "policy.yaml")
        self.start_gateway()

    def start_provider(self) -> None:
        command = [sys.executable, "-m", "tests.providers.foreign", "--log", str(self.truth_log)]
        self.provider = self._start(command, "provider.log", ROOT)
        port = self.provider.wait_for(lambda: self.provider.output.partition("\n")[0], "its port")
        self.provider_url = f"http://127.0.0.1:{port}"

    def _price(self, model: str, rates: Rates) -> None:
        price = {
            "provider": rates.provider,
            "model": model,
            "input_cost_per_1k_tokens": _per_1k(rates.input),
            "output_cost_per_1k_tokens": _per_1k(rates.output),
            "cached_input_cost_per_1k_tokens": _per_1k(rates.read),
            "cache_write_cost_per_1k_tokens": _per_1k(rates.write),
            "cache_write_1h_cost_per_1k_tokens": _per_1k(rates.hour),
            "reasoning_cost_per_1k_tokens": None if rates.thinking is None else _per_1k(rates.thinking),
            "max_output_tokens": _MAX_OUTPUT_TOKENS,
            "context_window": _CONTEXT_WINDOW,
        }
        answer = self.admin("POST", "/v1/model-pricing", price)
        assert answer.status == 201, answer.body

    def bills(self) -> list[Billed]:
        found, self._read_to = read_bills(self.truth_log, self._read_to)
        self._bills += found
        return self._bills

    def accounts_for_itself(self) -> None:
        """What all tests left behind: every bill has a row, whoever called, and no log tells a provider's key."""
        until(self._rows_of_all_bills, "every bill has its row")
        tells_no_secret(*(path.read_text(errors="replace") for path in self.directory.glob("*.log")))

    def _rows_of_all_bills(self) -> bool:
        known = {event["request_id"] for event in events(self)}
        return all(billed.request_id in known for billed in self.bills())


def _per_1k(picos: int) -> float:
    """Pico-USD per token as USD per 1,000 tokens: at most nine decimals, which a float tells exactly."""
    return float(Decimal(picos) / 1_000_000_000)


class Till:
    """A team's calls, each under a request id of its own, and the comparison of its books with the provider's."""

    def __init__(self, world: World, team: str) -> None:
        self.world = world
        self.team = team
        self.key: Key = funded_key(world, team, usd="1000")
        self._called = 0

    def next_id(self) -> str:
        """The request id of the next call."""
        self._called += 1
        return f"{self.team}.{self._called}"[-120:]

    def bills(self) -> list[Billed]:
        """What the provider bills for this team's calls, in the order of the calls."""
        mine = {f"{self.team}.{number}"[-120:]: number for number in range(1, self._called + 1)}
        found = [billed for billed in self.world.bills() if billed.request_id in mine]
        return sorted(found, key=lambda billed: mine[billed.request_id])

    def balanced(self) -> list[tuple[Event, Billed | None]]:
        """Every call's one row beside its bill: equal to the token and to the nano-dollar, and nothing held.

        A call that the provider does not bill costs nothing.
        """
        pairs = self.rows()
        for event, billed in pairs:
            if billed is None:
                assert nanos(event["cost_usd"]) == 0, event
                continue
            assert event["usage_source"] == "provider", event
            assert _tokens(event) == _tokens_of(billed), (event, billed)
            assert nanos(event["cost_usd"]) == billed.cost_nanos, (event, billed)
        rest = nothing_held(self.world, self.team)
        assert nanos(rest["spent"]) == sum(billed.cost_nanos for _, billed in pairs if billed is not None)
        return pairs

    def never_short(self) -> list[tuple[Event, Billed | None]]:
        """As ``balanced``, for calls that broke: a row that is no bill of the provider's says so, and is not below it."""
        pairs = self.rows()
        wrong = [_short(event, billed) for event, billed in pairs if not _covers(event, billed)]
        assert not wrong, wrong
        nothing_held(self.world, self.team)
        return pairs

    def rows(self) -> list[tuple[Event, Billed | None]]:
        """Every call's row and bill. No call is billed twice."""
        rows = settled_events(self.world, self._called, team_id=self.team)
        bills = self.bills()
        by_id = {billed.request_id: billed for billed in bills}
        assert len(by_id) == len(bills), "the provider was called twice for one call"
        assert by_id.keys() <= {event["request_id"] for event in rows}
        rows.sort(key=lambda event: int(event["request_id"].rpartition(".")[2]))
        for event in rows:
            for attempt in event["attempts"]:
                assert nanos(attempt["hold"]) >= nanos(attempt["cost"]), "held less than it cost"
        return [(event, by_id.get(event["request_id"])) for event in rows]


def _covers(event: Event, billed: Billed | None) -> bool:
    owed, cost = 0 if billed is None else billed.cost_nanos, nanos(event["cost_usd"])
    if billed is not None and event["usage_source"] == "provider":
        return cost == owed
    return event["usage_source"] in ("worst_case", "counted", "none") and cost >= owed


def _short(event: Event, billed: Billed | None) -> dict[str, object]:
    """What matters of a row that is below its bill, or pretends to be one."""
    told = {name: event[name] for name in ("request_id", "status", "usage_source", "tokens_output", "cost_usd")}
    return {**told, "billed": None if billed is None else (billed.input, billed.output, billed.cost_nanos)}


def _tokens(event: Event) -> tuple[int, ...]:
    names: Sequence[str] = ("tokens_input", "tokens_cached", "tokens_cache_write", "tokens_output", "tokens_reasoning")
    return tuple(event[name] for name in names)


def _tokens_of(billed: Billed) -> tuple[int, ...]:
    return (billed.input, billed.read, billed.write + billed.hour, billed.output, billed.thinking)


def tells_no_secret(*texts: object) -> None:
    """No key of a provider's is in any of these."""
    for text in texts:
        said = text if isinstance(text, str) else json.dumps(text, default=str)
        for name, secret in SECRETS.items():
            assert secret not in said, f"{name} is told"
