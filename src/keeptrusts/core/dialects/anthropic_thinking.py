"""How much Claude shall think, and who is told: ``thinking`` and ``output_config.effort`` of the Messages API, both ways.

Source: ``ThinkingConfigParam`` and ``OutputConfigParam`` of Anthropic's SDK; its pages on extended and adaptive thinking.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from keeptrusts.core.calls.conversation import Conversation, Part, Reasoning, Thinking, ToolUse, Turn
from keeptrusts.core.dialects.anthropic_fields import Fields, optional, refusal, required, wrong
from keeptrusts.core.dialects.anthropic_models import abilities_of

LEAST_BUDGET = 1024
"""Tokens: a smaller budget is an error there."""

_EFFORTS_IN: Mapping[str, str] = {
    **{effort: effort for effort in ("low", "medium", "high", "xhigh")},
    "max": "xhigh",  # the neutral form's highest
}
_EFFORTS_OUT: Mapping[str | None, str | None] = {
    **{effort: effort for effort in ("low", "medium", "high", "xhigh", None)},
    "minimal": "low",
}
_SHARES: Mapping[str | None, int] = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 90, None: 50}
"""Per cent of ``max_tokens`` that a model thinks with which knows budgets only: the rest is for the answer."""

_SHOWN: Mapping[str | None, bool] = {None: True, "summarized": True, "omitted": False}
_DISPLAY: Mapping[bool | None, dict[str, str]] = {
    None: {},
    True: {"display": "summarized"},
    False: {"display": "omitted"},
}
_FORCED = frozenset({"required", "named"})


def read_reasoning(fields: Fields) -> Reasoning | None:
    """What a request asks for. Raises Refused.

    Who asks for ``thinking`` is told it unless it says otherwise; who names only an effort is told none.
    """
    effort = _read_effort(optional(fields, "output_config", dict))
    config = optional(fields, "thinking", dict)
    if config is None:
        return None if effort is None else Reasoning(effort=effort)
    kind = required(config, "type", str, "thinking")
    if kind == "disabled":
        return Reasoning(effort="none")
    if kind in ("adaptive", "between_tools"):
        return Reasoning(effort=effort, shown=_read_display(config))
    if kind != "enabled":
        raise wrong("thinking.type", "enabled, disabled, adaptive or between_tools")
    budget = required(config, "budget_tokens", int, "thinking")
    if budget < LEAST_BUDGET:
        raise wrong("thinking.budget_tokens", f"at least {LEAST_BUDGET:,}")
    return Reasoning(effort=effort, budget_tokens=budget, shown=_read_display(config))


def _read_effort(config: dict[str, Any] | None) -> str | None:
    effort = optional(config or {}, "effort", str, "output_config")
    if effort is not None and effort not in _EFFORTS_IN:
        raise wrong("output_config.effort", "low, medium, high, xhigh or max")
    return None if effort is None else _EFFORTS_IN[effort]


def _read_display(config: dict[str, Any]) -> bool:
    display = optional(config, "display", str, "thinking")
    if display not in _SHOWN:
        raise wrong("thinking.display", "summarized or omitted")
    return _SHOWN[display]


class Thought(Struct, frozen=True):
    """What is written of it: the ``thinking`` field, and ``output_config.effort``."""

    config: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def on(self) -> bool:
        """Whether the model is asked to think."""
        return self.config is not None and self.config["type"] != "disabled"


def write_thought(conversation: Conversation, model: str, max_tokens: int) -> Thought:
    """How the model is asked. Raises Refused for an effort that is none.

    An effort in words is a hint: it is left out where the model would refuse to think (it must call a tool, or goes on with
    calls that it did not think about), and becomes a budget for models that know only budgets. A budget is passed on.
    """
    reasoning = conversation.reasoning
    able = abilities_of(model).thinking
    if reasoning is None or (able == "never" and reasoning.budget_tokens is None):
        return Thought()
    if reasoning.effort == "none":
        return Thought({"type": "disabled"})
    if reasoning.effort not in _EFFORTS_OUT:
        raise refusal(
            "reasoning_effort", f"`{reasoning.effort}` is no effort: none, minimal, low, medium, high or xhigh."
        )
    effort = _EFFORTS_OUT[reasoning.effort] if able == "adaptive" else None
    budget = reasoning.budget_tokens
    if budget is None and able == "budget":
        budget = _budget(conversation.turns, reasoning.effort, max_tokens)
    if reasoning.budget_tokens is None and _must_call(conversation):
        return Thought(None, effort)
    if budget is not None:
        return Thought({"type": "enabled", "budget_tokens": budget, **_DISPLAY[reasoning.shown]}, effort)
    return Thought({"type": "adaptive", **_DISPLAY[reasoning.shown]}, effort) if able == "adaptive" else Thought()


def _must_call(conversation: Conversation) -> bool:
    return conversation.tool_choice is not None and conversation.tool_choice.mode in _FORCED


def _budget(turns: Sequence[Turn], effort: str | None, max_tokens: int) -> int | None:
    """Tokens to think with; None where there is no room, or the turn that is gone on with has no thinking to start from."""
    last = next((turn.parts for turn in reversed(turns) if turn.role == "assistant"), ())
    unthought = any(isinstance(part, ToolUse) for part in last) and not is_proven(last[0])
    if unthought or max_tokens <= LEAST_BUDGET:
        return None
    return max(LEAST_BUDGET, max_tokens * _SHARES[effort] // 100)


def is_proven(part: Part) -> bool:
    """Whether it is thinking that Anthropic takes back, signed or sealed by itself.

    What other providers prove theirs with carries a mark that ends in a colon; Anthropic's is base64 and holds none.
    """
    proof = _proof(part) if isinstance(part, Thinking) else None
    return proof is not None and ":" not in proof


def _proof(thinking: Thinking) -> str | None:
    return thinking.redacted or thinking.signature or None


def telling(asked: Conversation) -> Literal["all", "sealed", "nothing"]:
    """What a client is told of the thinking: only who asked for thinking expects its blocks in the answer.

    ``sealed``: no words, but what proves them, for the next turn.
    """
    shown = asked.reasoning.shown if asked.reasoning is not None else None
    if shown is None:
        return "nothing"
    return "all" if shown else "sealed"


def told(thinking: Thinking, asked: Conversation) -> Thinking | None:
    """A whole block as that client is told it; None: not at all."""
    tell = telling(asked)
    if tell == "all":
        return thinking
    if tell == "sealed" and _proof(thinking) is not None:
        return Thinking("", thinking.signature, thinking.redacted)
    return None
