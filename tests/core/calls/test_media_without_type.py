"""A part that does not say its type is held as what its name says: some providers read it all the same."""

import pytest

from keeptrusts.core.calls.chat import parse_chat


@pytest.mark.parametrize(
    "part", [b'{"image_url":"http://x/i.png"}', b'{"video_url":{"url":"http://x"}}', b'{"image":"x"}']
)
def test_media_without_a_type_is_media(part: bytes) -> None:
    request = parse_chat(b'{"model":"m","messages":[{"role":"user","content":[' + part + b"]}]}")
    assert not request.plain
    assert request.has_media()
