"""Forms are read within bounds, and what goes on is what was read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.form import MAX_PARTS, Part, read_form, write_form
from keeptrusts.core.refusal import Refused

names = st.text("abcdefgh[]_", min_size=1, max_size=12)
filenames = st.none() | st.text("abc. ü", max_size=9).map(str.encode)
parts = st.builds(Part, names, st.binary(max_size=200), filenames, st.none() | st.just(b"image/png"))


def form(*pieces: bytes, boundary: bytes = b"x") -> bytes:
    return b"".join(b"--%b\r\n%b\r\n" % (boundary, piece) for piece in pieces) + b"--%b--\r\n" % boundary


def field(name: str, value: bytes = b"v") -> bytes:
    return b'Content-Disposition: form-data; name="%b"\r\n\r\n%b' % (name.encode(), value)


@given(st.lists(parts, min_size=1, max_size=5).map(tuple))
def test_what_is_written_reads_the_same(given_parts: tuple[Part, ...]) -> None:
    content_type, body = write_form(given_parts)
    assert read_form(body) == given_parts
    assert body.startswith(b"--" + content_type.partition("boundary=")[2].encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_refused(body: bytes) -> None:
    for given_body in (body, b"--x\r\n" + body):
        try:
            read_form(given_body)
        except Refused:
            continue


def test_content_may_hold_what_looks_like_a_boundary() -> None:
    [one, two] = read_form(form(field("a", b"--x\n--x"), field("b", b"\r\n--y\r\n")))
    assert (one.content, two.content) == (b"--x\n--x", b"\r\n--y\r\n")


def test_a_files_name_ends_where_every_parser_sees_its_end() -> None:
    told = b'Content-Disposition: form-data; name="file"; filename="a\\"; name=\\"model"\r\n\r\nv'
    _, written = write_form(read_form(form(told)))
    assert b'name="file"; filename="a%22; name=%22model"\r\n' in written


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"--x\r\n",
        b"--\r\n" + field("a"),
        form(field("a"))[:-8],
        form(b'Content-Disposition: attachment; name="a"\r\n\r\nv'),
        form(b"Content-Disposition: form-data\r\n\r\nv"),
        form(b'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"\r\n\r\nv'),
        form(b'Content-Disposition: form-data; name="a\nb"\r\n\r\nv'),
        form(field("m\\odel")),
        form(field("model ")),
        form(field('mod\\"el')),
        form(field("a", b"v" * (1024 * 1024 + 1))),
        form(*[field("a[]")] * (MAX_PARTS + 1)),
        form(b"X: " + b"y" * 5_000 + b"\r\n" + field("a")),
        b"--x\r\n" + field("a") + b"\r\n--xy\r\n" + field("b") + b"\r\n--x--\r\n",
    ],
)
def test_what_is_no_form_or_beyond_its_bounds_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        read_form(body)
