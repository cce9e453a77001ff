from typing import Any

import msgspec
import pytest

from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.openai_responses_usage import buckets, usage_object


def told(**usage: Any) -> bytes:
    return msgspec.json.encode(usage)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 3, "output_tokens": 2}, Usage(3, 0, 0, 0, 2, 0)),
        (
            {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 60},
                "output_tokens": 50,
                "output_tokens_details": {"reasoning_tokens": 20},
                "total_tokens": 150,
            },
            Usage(40, 60, 0, 0, 50, 20),
        ),
        (
            {
                "input_tokens": 100,
                "input_tokens_details": {
                    "cached_tokens": 60,
                    "cache_write_tokens": 30,
                    "cache_write_tokens_details": {"ttl_12h_tokens": 20, "ttl_30m_tokens": 10},
                },
                "output_tokens": 0,
            },
            Usage(10, 60, 10, 20, 0, 0),
        ),
        ({"input_tokens": 3, "output_tokens": 2, "input_tokens_details": None}, Usage(3, 0, 0, 0, 2, 0)),
        ({"input_tokens": 3, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}, None),
        (
            {
                "input_tokens": 3,
                "output_tokens": 2,
                "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 2},
            },
            None,
        ),
        (
            {
                "input_tokens": 3,
                "output_tokens": 2,
                "input_tokens_details": {"cache_write_tokens": 1, "cache_write_tokens_details": {"ttl_12h_tokens": 2}},
            },
            None,
        ),
        ({"input_tokens": 3, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 3}}, None),
        ({"input_tokens": 3, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": -1}}, None),
        ({"input_tokens": -3, "output_tokens": 2}, None),
        ({"input_tokens": 3, "output_tokens": -2}, None),
        ({"input_tokens": 1_000_000_001, "output_tokens": 2}, None),
        ({"input_tokens": 3, "output_tokens": 1_000_000_001}, None),
        ({"input_tokens": "3", "output_tokens": 2}, None),
        ({"prompt_tokens": 3, "completion_tokens": 2}, None),
    ],
)
def test_buckets(usage: dict[str, Any], expected: Usage | None) -> None:
    assert buckets(told(**usage)) == expected


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b"\xff", b"null", b'{"input_tokens": ' + b"[" * 100_000])
def test_no_usage(answer: bytes) -> None:
    assert buckets(answer) is None


def test_it_is_told_as_it_was_read() -> None:
    usage = Usage(10, 60, 30, 0, 50, 20)
    assert buckets(msgspec.json.encode(usage_object(usage))) == usage
    assert usage_object(None) is None


def test_both_kinds_of_writing_are_told_together() -> None:
    told = usage_object(Usage(1, 2, 3, 4, 5, 0))
    assert told is not None
    assert (told["input_tokens"], told["input_tokens_details"]["cache_write_tokens"]) == (10, 7)
