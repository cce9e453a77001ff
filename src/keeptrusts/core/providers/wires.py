"""Every way from a client's door to a provider: straight where both speak the same dialect, else translated."""

from collections.abc import Mapping

from keeptrusts.core.dialects import (
    anthropic,
    bedrock,
    gemini,
    openai_chat,
    openai_completions,
    openai_responses,
)
from keeptrusts.core.providers import straight
from keeptrusts.core.providers.media import MEDIA
from keeptrusts.core.providers.translated import Translated
from keeptrusts.core.providers.vendors import COMPATIBLE, OPENAI_LIKE
from keeptrusts.core.providers.wire import Wire


def _chat_path(model: str, stream: bool) -> str:
    del model, stream
    return straight.Chat.route


def _messages_path(model: str, stream: bool) -> str:
    del model, stream
    return straight.Messages.route


CHAT, COMPLETIONS, EMBEDDINGS = straight.Chat(), straight.Completions(), straight.Embeddings()
RESPONSES, MESSAGES = straight.Responses(), straight.Messages()


def _into_all_but_chat(client: object) -> dict[str, Wire]:
    """From a client's dialect to the providers whose dialect is their own."""
    return {
        "anthropic": Translated(client, anthropic, _messages_path, limited=True),
        "gemini": Translated(client, gemini, gemini.path_of, key_error=b"API_KEY_INVALID"),
        "bedrock": Translated(client, bedrock, bedrock.path_of),
    }


def _into_chat(client: object) -> Wire:
    return Translated(client, openai_chat, _chat_path)


WIRES: Mapping[str, Mapping[str, Wire]] = {
    "chat": {
        **dict.fromkeys((*OPENAI_LIKE, "simulated"), CHAT),
        **_into_all_but_chat(openai_chat),
    },
    "completions": {
        **dict.fromkeys(OPENAI_LIKE, COMPLETIONS),
        "simulated": _into_chat(openai_completions),
        **_into_all_but_chat(openai_completions),
    },
    "responses": {
        **dict.fromkeys(("openai", "azure"), RESPONSES),
        **dict.fromkeys((*COMPATIBLE, "simulated"), _into_chat(openai_responses)),
        **_into_all_but_chat(openai_responses),
    },
    "messages": {
        **dict.fromkeys((*OPENAI_LIKE, "simulated"), _into_chat(anthropic)),
        **_into_all_but_chat(anthropic),
        "anthropic": MESSAGES,
    },
    **{route: dict.fromkeys(OPENAI_LIKE, wire) for route, wire in MEDIA.items()},
    "embeddings": dict.fromkeys(OPENAI_LIKE, EMBEDDINGS),
}
"""By the client's door and the target's provider. What is not there can't be asked of that provider."""
