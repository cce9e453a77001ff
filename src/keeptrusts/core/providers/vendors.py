"""Vendors that speak OpenAI's dialect, by their names: where each answers, and which variable holds its key."""

from collections.abc import Mapping

from msgspec import Struct

ALIASES: Mapping[str, str] = {"azure-openai": "azure", "google": "gemini"}
"""Other names of providers, by which policy files may call them."""


class Vendor(Struct, frozen=True):
    """``base_url`` None: wherever its user runs it. ``secret_env`` None: it needs no key."""

    base_url: str | None
    secret_env: str | None = None
    example: str | None = None


VENDORS: Mapping[str, Vendor] = {
    "cerebras": Vendor("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "deepseek": Vendor("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "fireworks": Vendor("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "groq": Vendor("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": Vendor("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "openrouter": Vendor("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "together": Vendor("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "xai": Vendor("https://api.x.ai/v1", "XAI_API_KEY"),
    "litellm": Vendor(None, example="http://localhost:4000/v1"),
    "localai": Vendor(None, example="http://localhost:8080/v1"),
    "ollama": Vendor(None, example="http://localhost:11434/v1"),
    "vllm": Vendor(None, example="http://localhost:8000/v1"),
}
"""From each vendor's own documentation of its OpenAI-compatible API."""

COMPATIBLE = ("openai-compatible", *VENDORS)
"""Providers that are asked as OpenAI is, but for Responses."""

OPENAI_LIKE = ("openai", "azure", *COMPATIBLE)
