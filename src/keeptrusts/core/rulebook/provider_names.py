"""Providers as people may spell them: other names, and the compact form ``openai:chat:gpt-4o``; made one before all checks."""

from typing import Any

from keeptrusts.core.providers.vendors import ALIASES
from keeptrusts.core.rulebook.quoting import quoted
from keeptrusts.core.rulebook.survey import Survey

KINDS = frozenset({"chat", "completion", "completions", "embedding", "embeddings", "messages", "responses"})
"""What may stand in the middle of the compact form. A target serves every door, whichever it is."""


def with_plain_providers(document: dict[str, Any]) -> dict[str, Any]:
    """The document in which every target, and every entry of a model group, says ``provider`` and ``model`` apart."""
    providers = document.get("providers")
    if isinstance(providers, dict):
        providers = {**providers, "targets": _each(providers.get("targets"))}
        document = {**document, "providers": {name: value for name, value in providers.items() if value is not None}}
    groups = document.get("model_groups")
    if isinstance(groups, list):
        groups = [_group(group) for group in groups]
        document = {**document, "model_groups": groups}
    return document


def _group(group: Any) -> Any:
    return {**group, "models": _each(group["models"])} if isinstance(group, dict) and "models" in group else group


def _each(entries: Any) -> Any:
    return [_plain(entry) for entry in entries] if isinstance(entries, list) else entries


def _plain(entry: Any) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("provider"), str):
        return entry
    provider, model = read_compact(entry["provider"])
    given = {"model": model} if model is not None and entry.get("model") is None else {}
    return {**entry, **given, "provider": ALIASES.get(provider, provider)}


def read_compact(text: str) -> tuple[str, str | None]:
    """Provider and model of the compact form; the text itself and None for any other."""
    provider, kind, model = ((*text.split(":", 2), "", ""))[:3]
    return (provider, model) if kind in KINDS and provider and model else (text, None)


def models_are_named_once(survey: Survey) -> None:
    """A target whose compact form and ``model`` name two models would serve neither for sure. The document is the one as
    written."""
    for target in survey.items("providers", "targets"):
        _, compact = read_compact(survey.text(*target, "provider") or "")
        model = survey.text(*target, "model")
        if compact is not None and model not in (None, compact):
            message = f"`provider` names the model {quoted(compact)} and `model` another one"
            survey.error("contradiction", (*target, "model"), message, "keep one of them")
