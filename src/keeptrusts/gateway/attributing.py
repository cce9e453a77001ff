"""What a call says of its own attribution, wherever it says it: headers, OpenAI's ``metadata`` and ``user``, Anthropic's
``metadata.user_id``. Only calls of keys that let their clients add something come by here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Raw

from keeptrusts.core.calls.request import TextRequest, encode
from keeptrusts.core.identity.additions import CARRIED, Additions, attributed, read_value
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.caller import Caller, Callers

HEADERS: Mapping[bytes, str] = {b"x-keeptrusts-" + name.replace("_", "-").encode(): name for name in CARRIED}
"""Header names, in lower case, to dimensions: ``X-Keeptrusts-Cost-Center``."""

METADATA = "metadata"
USER = "user"
USER_ID = "user_id"
"""The field of ``metadata`` in which Anthropic's dialect names the user."""


def attribute(
    callers: Callers, caller: Caller, additions: Additions, headers: Mapping[bytes, bytes], request: TextRequest
) -> Caller:
    """The caller as the client that this request speaks of. What ``metadata`` says under a dimension's name is for us, and goes
    no further: providers refuse fields that they don't know.

    Raises Refused: ATTRIBUTION_NOT_ALLOWED, or INVALID_REQUEST for a value that can be none.
    """
    metadata = request.value(METADATA) if METADATA in request.fields else None
    given = [*_in_headers(headers)]
    if isinstance(metadata, dict):
        given += _in_metadata(metadata, additions)
        _withhold(request, metadata)
    if USER in additions and USER in request.fields:
        given += _said(USER, request.value(USER))
    if not given:
        return caller
    attribution = attributed(caller.attribution, additions, given)
    return caller if attribution is caller.attribution else callers.with_attribution(caller, attribution)


def _in_headers(headers: Mapping[bytes, bytes]) -> Iterator[tuple[str, str]]:
    for header, dimension in HEADERS.items():
        if header in headers:
            try:
                text = headers[header].decode()
            except UnicodeDecodeError:
                message = f"The header for the attribution's {dimension} is not UTF-8."
                raise Refused(Reason.INVALID_REQUEST, message, {"dimension": dimension}) from None
            yield from _said(dimension, text)


def _in_metadata(metadata: Mapping[str, Any], additions: Additions) -> Iterator[tuple[str, str]]:
    for dimension in CARRIED:
        if dimension in metadata:
            yield from _said(dimension, metadata[dimension])
    # The field belongs to the provider, and is the attribution's only where the key says that clients name the user.
    if USER in additions and USER_ID in metadata:
        yield from _said(USER, metadata[USER_ID])


def _said(dimension: str, given: object) -> Iterator[tuple[str, str]]:
    value = read_value(dimension, given)
    if value is not None:
        yield dimension, value


def _withhold(request: TextRequest, metadata: Mapping[str, Any]) -> None:
    rest = {name: value for name, value in metadata.items() if name not in CARRIED}
    if len(rest) == len(metadata):
        return
    if rest:
        request.fields[METADATA] = Raw(encode(rest))
    else:
        del request.fields[METADATA]
