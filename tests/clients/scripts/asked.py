"""What a client is asked to do, and how it tells what it saw; shared by the scripts beside it."""

import json
import os
from collections.abc import Callable
from typing import Any

URL = os.environ.get("GATEWAY_URL", "")
KEY = os.environ.get("GATEWAY_KEY", "")
MODELS: dict[str, str] = json.loads(os.environ.get("MODELS", "{}"))
"""A model of each provider, by the provider's name."""

EMBEDDER = os.environ.get("EMBEDDER", "")
KEYS: dict[str, str] = json.loads(os.environ.get("KEYS", "{}"))
"""Keys that are refused, by what is wrong with them: ``unknown``, ``poor``, ``narrow``."""

HELLO = "Hello there, who are you?"
CALL_ONCE = "Look. [[out=3 call=1]]"
"""The provider says three words and calls the first tool."""

CALL_NOW = "Look. [[call=1]]"
HATEFUL = os.environ.get("HATEFUL", "")
BROKEN = "Break. [[status=503]]"


def name_of(act: Callable[[], object]) -> str:
    """The class of the exception that the act raises, or ``none``."""
    try:
        act()
    except Exception as error:
        return type(error).__name__
    return "none"


def errors_of(ask: Callable[[str, str, str], object], model: str) -> dict[str, str]:
    """The class of each refusal. ``ask`` takes what is said, the key and the model."""
    return {
        "unknown": name_of(lambda: ask(HELLO, KEYS["unknown"], model)),
        "poor": name_of(lambda: ask(HELLO, KEYS["poor"], model)),
        "narrow": name_of(lambda: [ask(HELLO, KEYS["narrow"], model) for _ in range(2)]),
        "model": name_of(lambda: ask(HELLO, KEY, "no-such-model")),
        "policy": name_of(lambda: ask(HATEFUL, KEY, model)),
        "broken": name_of(lambda: ask(BROKEN, KEY, model)),
    }


def tell(features: dict[str, Callable[[str], Any]], once: dict[str, Callable[[], Any]]) -> None:
    """Tries every feature with every provider's model, what needs no model of all of them once, and prints what was seen."""
    seen: dict[str, Any] = {
        feature: {provider: _tried(act, model) for provider, model in MODELS.items()}
        for feature, act in features.items()
    }
    seen.update({feature: _tried(lambda _, act=act: act(), "") for feature, act in once.items()})
    print(json.dumps(seen))


def _tried(act: Callable[[str], Any], model: str) -> Any:
    try:
        return act(model)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
