"""What processes write to their standard output: a line each, as text or as JSON, and never a secret."""

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

FORMAT_ENV = "KEEPTRUSTS_LOG_FORMAT"
LEVEL_ENV = "KEEPTRUSTS_LOG_LEVEL"
FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")

TEXT = "%(levelname)s %(name)s %(message)s"
HIDDEN = "[redacted]"
SECRET_CHARS_MIN = 8
"""A shorter value of a variable is no secret: it would be found in ordinary words."""

_SHAPES = re.compile(
    r"(?P<kept>\bkt_[a-z]{2}_|\bsk-(?:ant-|proj-)?|\bAKIA|\bAIza|[Bb]earer +|://[^/\s:@]*:)"
    r"(?:(?<=kt_.._)[A-Za-z0-9_-]{6,}|(?<=sk-)[A-Za-z0-9_-]{8,}|(?<=sk-ant-)[A-Za-z0-9_-]{8,}"
    r"|(?<=sk-proj-)[A-Za-z0-9_-]{8,}|(?<=AKIA)[A-Z0-9]{12,}|(?<=AIza)[A-Za-z0-9_-]{20,}"
    r"|(?<=earer )[^\s\"',]{6,}|(?<=:)[^\s@/]+(?=@))"
)
"""Our keys, those of providers, tokens of a header, passwords in an address: how they begin stays."""

_SECRET_NAMES = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PEPPER|CREDENTIALS?)(_ID)?$")

_OWN_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class BadLogSettings(ValueError):
    """A log setting that is none; the message is one line that says what would be right."""


class Redaction:
    """Takes out of a text whatever looks like a secret, and the ``secrets`` that this process was given."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({s for s in secrets if len(s) >= SECRET_CHARS_MIN}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def of(self, text: str) -> str:
        """The text without them."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _SHAPES.sub(rf"\g<kept>{HIDDEN}", text)


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """The values of the variables whose names say that they hold a secret."""
    return [value for name, value in environ.items() if _SECRET_NAMES.search(name)]


class _Text(logging.Formatter):
    def __init__(self, redaction: Redaction) -> None:
        super().__init__(TEXT)
        self._redaction = redaction

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """A message is one line, whatever is in it: nobody who is quoted in one writes lines of his own."""
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")

    def format(self, record: logging.LogRecord) -> str:
        more = "".join(f" {name}={_word(value)}" for name, value in _fields(record).items())
        return self._redaction.of(super().format(record) + more)


class _Json(logging.Formatter):
    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redaction.of(record.getMessage()),
        }
        for name, value in _fields(record).items():
            line[name] = self._redaction.of(value) if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = self._redaction.of(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """What the line says beside its message: ``extra`` of the call that logged it."""
    return {name: value for name, value in record.__dict__.items() if name not in _OWN_FIELDS and value is not None}


def _word(value: object) -> str:
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)


def start_logging(environ: Mapping[str, str], secrets: Iterable[str] = ()) -> None:
    """From now on this process logs as the environment says. ``secrets`` are those that no variable holds.

    Raises BadLogSettings.
    """
    chosen = _one_of(environ, FORMAT_ENV, FORMATS, "text")
    level = _one_of(environ, LEVEL_ENV, LEVELS, "info")
    redaction = Redaction([*secrets_in(environ), *secrets])
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Json(redaction) if chosen == "json" else _Text(redaction))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if level == "debug":
        # Debugging is of our own lines: the loop's and the libraries' would bury them.
        logging.getLogger("asyncio").setLevel(logging.INFO)


def _one_of(environ: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    given = (environ.get(name) or default).strip().lower()
    if given not in allowed:
        raise BadLogSettings(f"{name} is one of {', '.join(allowed)}, not {given[:40]!r}")
    return given
