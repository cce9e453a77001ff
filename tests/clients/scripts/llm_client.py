"""The ``llm`` tool with the gateway's models in its ``extra-openai-models.yaml``: its command, streams, tools and schema."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from asked import BROKEN, CALL_NOW, HELLO, KEY, KEYS, MODELS, URL, tell

HOME = Path(tempfile.mkdtemp(prefix="llm-"))
os.environ["LLM_USER_PATH"] = str(HOME)
entries = [
    {
        "model_id": f"gateway-{provider}",
        "model_name": model,
        "api_base": f"{URL}/v1",
        "api_key_name": "gateway",
        "supports_schema": True,
        "supports_tools": True,
    }
    for provider, model in MODELS.items()
]
(HOME / "extra-openai-models.yaml").write_text(json.dumps(entries))
(HOME / "keys.json").write_text(json.dumps({"gateway": KEY}))

import llm  # noqa: E402 - it reads where its user lives when it is imported

PROVIDER_OF = {model: provider for provider, model in MODELS.items()}
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "number": {"type": "integer"}},
    "required": ["city", "number"],
}


def get_weather(city: str, number: int) -> str:
    """The weather of a city."""
    return f"{city}-{number}-sunny"


def of(model: str) -> Any:
    return llm.get_model(f"gateway-{PROVIDER_OF[model]}")


def whole(model: str) -> Any:
    return of(model).prompt(HELLO, stream=False).text()


def stream(model: str) -> Any:
    words = list(of(model).prompt(HELLO, stream=True))
    assert len(words) > 5, "it streamed"
    return "".join(words)


def schema(model: str) -> Any:
    return json.loads(of(model).prompt(HELLO, schema=PLACE, stream=False).text())


def tools(model: str) -> Any:
    seen: dict[str, Any] = {}

    def get_weather(city: str, number: int) -> str:
        """The weather of a city."""
        seen.update(name="get_weather", args={"city": city, "number": number})
        return f"{city}-{number}-sunny"

    seen["then"] = of(model).chain(CALL_NOW, tools=[get_weather], stream=False).text()
    return seen


def run(*arguments: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llm", *arguments, "--key", key, "-n"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def command(model: str) -> Any:
    return run("prompt", HELLO, "-m", f"gateway-{PROVIDER_OF[model]}").stdout.rstrip("\n")


def errors() -> Any:
    told = {name: run("prompt", HELLO, "-m", "gateway-openai", key=KEYS[name]).stderr for name in ("unknown", "poor")}
    told["broken"] = run("prompt", BROKEN, "-m", "gateway-openai").stderr
    return told


tell({"whole": whole, "stream": stream, "schema": schema, "tools": tools, "command": command}, {"errors": errors})
