"""Exact token counts, offline. The vocabulary is read when it is first needed: most calls never need it."""

from functools import cache
from typing import Any

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.pricing.bound import INPUT_MARGIN_TOKENS

SAMPLE_BYTES = 64 * 1024
"""Counting holds the interpreter's lock, so beyond this much text only a part is counted and the rest stays bounded."""


STRING_OVERHEAD_TOKENS = 4
"""Tokens that a chat template may put around each string of a request: a role and its marks, a field's name and type."""

CHAT_OVERHEAD_TOKENS = 16
"""Tokens that a chat template may add once."""

FAMILIES = ("gpt-4o", "gpt-4.1", "gpt-5", "chatgpt-4o", "o1", "o3", "o4")


def counts_exactly(model: str) -> bool:
    """Whether the model reads this vocabulary: of any other one, a count may be too low to hold money by."""
    return model.startswith(FAMILIES)


@cache
def _tokenizer() -> Any:
    import splintr

    return splintr.Tokenizer.from_pretrained("o200k_base")


def count_tokens(text: str) -> int:
    """Tokens of ``text`` in OpenAI's o200k vocabulary; never fewer than there are: text beyond the sample counts by bytes."""
    if len(text) <= SAMPLE_BYTES:
        return len(_tokenizer().encode_ordinary(text))
    head, rest = text[:SAMPLE_BYTES], text[SAMPLE_BYTES:]
    return len(_tokenizer().encode_ordinary(head)) + len(rest.encode())


def counted_input(request: TextRequest) -> int:
    """At least what the prompt's tokens are, where they can be counted."""
    read = request.prompt_strings()
    counted = sum(count_tokens(text) for text in read) + STRING_OVERHEAD_TOKENS * len(read) + CHAT_OVERHEAD_TOKENS
    return min(counted + request.prompt_rest(), request.size_bytes + INPUT_MARGIN_TOKENS)
