"""``multipart/form-data`` as clients upload it: read within bounds, and written again for the provider.

Written from RFC 7578 and RFC 2046. The boundary is the body's first line, and what goes on is written anew under a boundary
of ours: the provider can't be made to see other fields than those that were checked.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b

from msgspec import Struct

from keeptrusts.core.refusal import Reason, Refused

MAX_PARTS = 128
MAX_PART_HEAD_BYTES = 4_096
MAX_FIELD_BYTES = 1024 * 1024
MAX_BOUNDARY_BYTES = 70

_DISPOSITION = re.compile(rb'form-data((?:;\s*[A-Za-z*-]+=(?:"(?:[^"\\]|\\.)*"|[^\s";]+))*)\s*;?', re.IGNORECASE)
_PARAMETER = re.compile(rb';\s*([A-Za-z*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))')
_TYPE = re.compile(rb"[!-~ ]{1,200}")
_NAME = re.compile(r"[!#-\[\]-~]+")
"""Without quotes and backslashes: parsers differ in what they make of an escape, and would see a field that nobody checked."""

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


class Part(Struct, frozen=True):
    """A field or, with a ``filename``, a file."""

    name: str
    content: bytes
    filename: bytes | None = None
    content_type: bytes | None = None


def read_form(body: bytes) -> tuple[Part, ...]:
    """The parts in their order. Raises Refused(INVALID_REQUEST) for what is no form, or none within our bounds."""
    line_end = body.find(b"\r\n", 0, MAX_BOUNDARY_BYTES + 4)
    if not body.startswith(b"--") or line_end < 3:
        raise _wrong("The body must be multipart/form-data that begins with its boundary.")
    mark = b"\r\n" + body[:line_end]
    parts: list[Part] = []
    at = line_end + 2
    while True:
        if len(parts) >= MAX_PARTS:
            raise _wrong(f"The form has more than {MAX_PARTS} parts.")
        head_end = body.find(b"\r\n\r\n", at, at + MAX_PART_HEAD_BYTES)
        end = body.find(mark, head_end + 4) if head_end >= 0 else -1
        if end < 0:
            raise _wrong("A part of the form has no end, or a head that is too long.")
        parts.append(_part(body[at:head_end], body[head_end + 4 : end]))
        at = end + len(mark)
        after = body[at : at + 2]
        if after == b"--":
            return tuple(parts)
        if after != b"\r\n":
            raise _wrong("The form's boundary stands where no part begins.")
        at += 2


def _part(head: bytes, content: bytes) -> Part:
    lines: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        header, colon, value = line.partition(b":")
        if not colon or header.lower() in lines or b"\r" in line or b"\n" in line or b"\0" in line:
            raise _wrong("A part of the form has a head that can't be read.")
        lines[header.lower()] = value.strip()
    said = _DISPOSITION.fullmatch(lines.get(b"content-disposition", b""))
    if said is None:
        raise _wrong("A part of the form has no readable Content-Disposition.")
    given = {found[1].lower(): found[2] if found[2] is not None else found[3] for found in _PARAMETER.finditer(said[1])}
    try:
        name = given[b"name"].decode("ascii")
    except (KeyError, UnicodeDecodeError):
        raise _wrong("A part of the form has no name.") from None
    if _NAME.fullmatch(name) is None:
        raise _wrong("A part of the form has a name with other characters than names have.")
    filename = given.get(b"filename")
    if filename is not None:
        # As browsers write it: no parser takes it for the name's end.
        filename = _ESCAPED.sub(rb"\1", filename).replace(b'"', b"%22").replace(b"\\", b"%5C")
    if filename is None and len(content) > MAX_FIELD_BYTES:
        raise _wrong(f"`{name[:64]}` is larger than a field may be: {MAX_FIELD_BYTES} bytes.")
    kind = lines.get(b"content-type")
    if kind is not None and _TYPE.fullmatch(kind) is None:
        raise _wrong("A part of the form has a Content-Type that can't be read.")
    return Part(name, content, filename, kind)


def write_form(parts: tuple[Part, ...]) -> tuple[str, bytes]:
    """The content type and the body that say the same. The boundary is a digest of what it may not stand in."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part.content)
    boundary = f"keeptrusts-{digest.hexdigest()}"
    return f"multipart/form-data; boundary={boundary}", b"".join(_pieces(parts, boundary.encode()))


def _pieces(parts: tuple[Part, ...], boundary: bytes) -> Iterator[bytes]:
    for part in parts:
        yield b'--%b\r\ncontent-disposition: form-data; name="%b"' % (boundary, part.name.encode())
        if part.filename is not None:
            yield b'; filename="%b"' % part.filename
        if part.content_type is not None:
            yield b"\r\ncontent-type: %b" % part.content_type
        yield b"\r\n\r\n"
        yield part.content
        yield b"\r\n"
    yield b"--%b--\r\n" % boundary


def _wrong(message: str) -> Refused:
    return Refused(Reason.INVALID_REQUEST, message)
