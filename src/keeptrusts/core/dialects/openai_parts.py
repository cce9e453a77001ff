"""The parts of a message in OpenAI's chat dialect: text, images, audio, files; read and written.

Source: the ``ChatCompletionContentPart...`` schemas of OpenAI's API description. ``cache_control`` on a part is
Anthropic's word, which gateways in front of Anthropic's models take in this dialect too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keeptrusts.core.calls.conversation import Audio, CacheMark, Document, Image, Part, Text
from keeptrusts.core.dialects.openai_fields import Fields, fields_of, items_of, name, one_of, refused, text
from keeptrusts.core.refusal import Reason, Refused

_CACHE_MARKS: Mapping[str, CacheMark] = {"5m": "5m", "1h": "1h"}


def read_cache(fields: Fields, param: str) -> CacheMark | None:
    """The mark of a part or tool up to which the prompt shall be kept."""
    mark = fields.get("cache_control")
    if mark is None:
        return None
    ttl = fields_of(mark, f"{param}.cache_control").get("ttl")
    return _CACHE_MARKS[one_of("5m" if ttl is None else ttl, f"{param}.cache_control.ttl", _CACHE_MARKS)]


def _text(fields: Fields, param: str) -> Text:
    return Text(text(fields.get("text"), f"{param}.text"), read_cache(fields, param))


def _refusal(fields: Fields, param: str) -> Text:
    return Text(text(fields.get("refusal"), f"{param}.refusal"), refusal=True)


def _image(fields: Fields, param: str) -> Image:
    image = fields_of(fields.get("image_url"), f"{param}.image_url")
    url = name(image.get("url"), f"{param}.image_url.url")
    detail = image.get("detail")
    if detail is not None:
        text(detail, f"{param}.image_url.detail")
    cache = read_cache(fields, param)
    if not url.startswith("data:"):
        return Image(url=url, detail=detail, cache=cache)
    media_type, data = _data_url(url, f"{param}.image_url.url")
    return Image(data=data, media_type=media_type, detail=detail, cache=cache)


def _audio(fields: Fields, param: str) -> Audio:
    audio = fields_of(fields.get("input_audio"), f"{param}.input_audio")
    return Audio(
        name(audio.get("data"), f"{param}.input_audio.data"), name(audio.get("format"), f"{param}.input_audio.format")
    )


def _file(fields: Fields, param: str) -> Document:
    file = fields_of(fields.get("file"), f"{param}.file")
    filename, cache = file.get("filename"), read_cache(fields, param)
    if filename is not None:
        text(filename, f"{param}.file.filename")
    if file.get("file_id") is not None:
        return Document(file_id=name(file["file_id"], f"{param}.file.file_id"), name=filename, cache=cache)
    if file.get("file_data") is None:
        raise refused(f"{param}.file", "must have `file_data` or `file_id`.")
    data = name(file["file_data"], f"{param}.file.file_data")
    media_type = None
    if data.startswith("data:"):
        media_type, data = _data_url(data, f"{param}.file.file_data")
    return Document(data=data, media_type=media_type, name=filename, cache=cache)


def _data_url(url: str, param: str) -> tuple[str, str]:
    """Media type and base64 of a data URL (RFC 2397); parameters of the type are dropped."""
    head, comma, data = url.removeprefix("data:").partition(",")
    media_type, *parameters = head.split(";")
    if not comma or not media_type or "base64" not in parameters:
        raise refused(param, "must be a URL, or data in the form `data:image/png;base64,...`.")
    return media_type, data


PartReader = Callable[[Fields, str], Any]

SAID: Mapping[str, PartReader] = {"text": _text}
ANSWERED: Mapping[str, PartReader] = {"text": _text, "refusal": _refusal}
SHOWN: Mapping[str, PartReader] = {"text": _text, "image_url": _image, "file": _file}
ASKED: Mapping[str, PartReader] = {**SHOWN, "input_audio": _audio}
"""What a system message, an assistant's, a tool's and a user's may hold. OpenAI takes only text from tools, but clients
send images that tools made too."""


def read_content(content: Any, param: str, readers: Mapping[str, PartReader]) -> tuple[Any, ...]:
    """The parts of a message's ``content``: a string, or an array of parts of these types."""
    if isinstance(content, str):
        return (Text(content),)
    if not isinstance(content, list):
        raise refused(param, "must be a string or an array of parts.")
    if not content:
        raise refused(param, "must have a part at least.")
    return tuple(_read_part(part, f"{param}[{at}]", readers) for at, part in enumerate(items_of(content, param)))


def _read_part(part: Any, param: str, readers: Mapping[str, PartReader]) -> Any:
    fields = fields_of(part, param)
    return readers[one_of(fields.get("type"), f"{param}.type", readers)](fields, param)


def _write_text(part: Text) -> dict[str, Any]:
    if part.refusal:
        return {"type": "refusal", "refusal": part.text}
    return {"type": "text", "text": part.text}


def _write_image(part: Image) -> dict[str, Any]:
    image: dict[str, Any] = {"url": part.url or f"data:{part.media_type or ''};base64,{part.data}"}
    if part.detail is not None:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _write_audio(part: Audio) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}


def _write_document(part: Document) -> dict[str, Any]:
    if part.text is not None:  # OpenAI's files are data; words reach the model as words
        return {"type": "text", "text": part.text}
    if part.url is not None:
        raise _unsendable("a document by URL: send its data, or an image's URL")
    file: dict[str, Any] = {"filename": part.name} if part.name is not None else {}
    if part.file_id is not None:
        file["file_id"] = part.file_id
    else:
        file["file_data"] = f"data:{part.media_type};base64,{part.data}" if part.media_type else part.data
    return {"type": "file", "file": file}


_WRITERS: Mapping[type[Any], Callable[[Any], dict[str, Any]]] = {
    Text: _write_text,
    Image: _write_image,
    Audio: _write_audio,
    Document: _write_document,
}


def write_content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """A message's ``content``: a string where it is one text, else an array of parts."""
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].refusal:
        return parts[0].text
    return [_write_part(part) for part in parts]


def _write_part(part: Part) -> dict[str, Any]:
    write = _WRITERS.get(type(part))
    if write is None:
        raise _unsendable(f"a part of this kind here: {type(part).__name__}")
    return write(part)


def _unsendable(what: str) -> Refused:
    return Refused(Reason.INVALID_REQUEST, f"This model's provider can't be sent {what}.", {"param": "messages"})
