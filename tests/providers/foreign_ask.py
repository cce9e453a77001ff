"""What the foreign provider understands of a request whatever its dialect, and what it is going to answer and to bill.

A prompt may carry a wish in double brackets (``[[call=2 think=30 fault=cut at=5]]``), so that each call of a test chooses
the behaviour that it wants. One token per word, counted by one fixed rule; see ``Plan``.
"""

import json
from dataclasses import dataclass, field, fields, replace
from typing import Any

TOKENS_PER_REQUEST = 3
TOKENS_PER_TURN = 4
TOKENS_PER_TOOL = 12
TOKENS_PER_IMAGE = 85
TOKENS_PER_CALL = 9
TOOL_PROMPT_TOKENS = 346
"""What Claude's own tool prompt adds to the input, by Anthropic's "Tool use" guide."""

WORDS = 25
SCHEMA_WORDS = ('{"city": ', '"Paris", ', '"number": ', "7}")


class Malformed(Exception):
    """The vendor would answer this request with 400; the text says why."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How one answer behaves.

    ``call``: how many tools are called, ``out``: how many words are said (25 unless tools are called), ``think``: tokens of
    thinking, which Gemini does not tell when ``hidden``. ``read``, ``write``, ``hour``: prompt tokens read from the cache, written to it, written for an hour.
    ``status`` above 299 is an error. ``fault``: ``cut`` and ``reset`` end the connection after ``at`` events of a stream
    (below 0: so many before its end), ``short`` ends the answer there as if it were whole, ``error`` sends the vendor's
    error there, ``no_usage`` keeps the figures back; ``gap_ms`` passes between events. ``only`` is the model that all of
    this is meant for.
    """

    call: int = 0
    out: int = -1
    think: int = 0
    hidden: int = 0
    read: int = 0
    write: int = 0
    hour: int = 0
    halt: int = 0
    gap_ms: int = 0
    status: int = 200
    retry_after: int = 0
    fault: str = ""
    at: int = 0
    only: str = ""


@dataclass(slots=True)
class Heard:
    """A request as the vendor understands it: what must come through, however it was translated."""

    model: str
    stream: bool = False
    system: str = ""
    turns: list[tuple[str, str]] = field(default_factory=list)
    prompt: str = ""
    limit: int | None = None
    tools: list[str] = field(default_factory=list)
    choice: str = ""
    results: list[tuple[str, str]] = field(default_factory=list)
    images: int = 0
    schema: bool = False
    stops: list[str] = field(default_factory=list)
    cache_marks: int = 0
    include_usage: bool = True
    temperature: float | None = None
    thinking: bool = False
    proofs: int = 0

    def take(self, role: str, text: str) -> None:
        """One more piece of a turn."""
        self.turns.append((role, text))
        if role == "user":
            self.prompt = text


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens in disjoint buckets; ``thinking`` is a part of ``output``."""

    plain: int
    read: int
    write: int
    hour: int
    output: int
    thinking: int

    @property
    def input(self) -> int:
        return self.plain + self.read + self.write + self.hour


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer to come. ``calls`` are ids, names and arguments as JSON text; ``stop`` is stop, length, tool or sequence."""

    heard: Heard
    wish: Wish
    thoughts: tuple[str, ...]
    words: tuple[str, ...]
    calls: tuple[tuple[str, str, str], ...]
    stop: str
    counts: Counts

    @property
    def tells_usage(self) -> bool:
        return self.wish.fault != "no_usage"

    @property
    def text(self) -> str:
        return "".join(self.words)

    @property
    def thought(self) -> str:
        return "".join(self.thoughts)


def plan(heard: Heard, answer_id: str, has_tool_prompt: bool = False) -> Plan:
    """What is answered: a wish, or what the tools said when the last turn holds their results."""
    answers_tools = bool(heard.results) and heard.turns[-1][0] == "tool"
    wish = Wish() if answers_tools else read_wish(heard.prompt)
    if wish.only not in ("", heard.model):
        wish = Wish()
    room = heard.limit if heard.limit is not None else 1_000_000
    thoughts = tuple(f"thought{number} " for number in range(min(wish.think, room)))
    room -= len(thoughts)
    calls = _calls(heard, wish, answer_id) if room >= wish.call * TOKENS_PER_CALL else ()
    room -= len(calls) * TOKENS_PER_CALL
    wanted = _words(heard, wish, answers_tools)
    words = wanted[: max(0, room)]
    stop = "length" if len(words) < len(wanted) else "tool" if calls else "sequence" if wish.halt else "stop"
    output = len(thoughts) + len(words) + len(calls) * TOKENS_PER_CALL
    return Plan(heard, wish, thoughts, words, calls, stop, _counts(heard, wish, output, len(thoughts), has_tool_prompt))


def read_wish(prompt: str) -> Wish:
    """The wish in a prompt, if there is one."""
    start, end = prompt.find("[["), prompt.find("]]")
    if start < 0 or end < start:
        return Wish()
    numbers = {field.name for field in fields(Wish) if field.type is int}
    wish = Wish()
    for word in prompt[start + 2 : end].split():
        name, _, value = word.partition("=")
        said: dict[str, Any] = {name: int(value) if name in numbers else value}
        wish = replace(wish, **said)
    return wish


def _calls(heard: Heard, wish: Wish, answer_id: str) -> tuple[tuple[str, str, str], ...]:
    if not heard.tools:
        return ()
    return tuple(
        (
            f"call_{answer_id}_{number}",
            heard.tools[number % len(heard.tools)],
            json.dumps({"city": f"Zürich {number}", "number": number}, ensure_ascii=False),
        )
        for number in range(wish.call)
    )


def _words(heard: Heard, wish: Wish, answers_tools: bool) -> tuple[str, ...]:
    if answers_tools:
        return ("The ", "tools ", "said: ", *(f"{name}={said} " for name, said in heard.results))
    if heard.schema:
        return SCHEMA_WORDS
    count = wish.out if wish.out >= 0 else 0 if wish.call and heard.tools else WORDS
    return tuple(f"wörd{number} " for number in range(count))


def _counts(heard: Heard, wish: Wish, output: int, thinking: int, has_tool_prompt: bool) -> Counts:
    total = TOKENS_PER_REQUEST + len(heard.system.split()) + TOKENS_PER_IMAGE * heard.images
    total += sum(TOKENS_PER_TURN + len(text.split()) for _, text in heard.turns)
    total += TOKENS_PER_TOOL * len(heard.tools)
    if heard.tools and has_tool_prompt:
        total += TOOL_PROMPT_TOKENS
    if wish.read + wish.write + wish.hour > total:
        raise AssertionError(f"the prompt has {total} tokens, fewer than the wish wants from the cache")
    return Counts(total - wish.read - wish.write - wish.hour, wish.read, wish.write, wish.hour, output, thinking)


def only(found: dict[str, Any], known: set[str], where: str) -> None:
    """Vendors refuse fields that they don't know."""
    if extra := found.keys() - known:
        raise Malformed(f"{where}: unknown field {min(extra)!r}")


def need(condition: object, why: str) -> None:
    """What must be so."""
    if not condition:
        raise Malformed(why)
