"""Where the API answers and which token to show it, from the environment, else from what `kt up` left on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from keeptrusts.cli.failure import Failure
from keeptrusts.settings import DEFAULT_API_URL, read_settings
from keeptrusts.store.data_dir import ADMIN_TOKEN

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Connection:
    """``url`` has no slash at its end; ``token_source`` says where the token is from and may be shown, the token never."""

    url: str
    token: str = field(repr=False)
    token_source: str

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int | None:
        return urlsplit(self.url).port

    @property
    def prefix(self) -> str:
        """The path that stands before ``/v1``, empty for most."""
        return urlsplit(self.url).path


def find_connection(environ: Mapping[str, str], data_dir: Path) -> Connection:
    """The connection of this shell. Raises Failure when the address is none or there is no token.

    The admin token of ``data_dir`` is only ever shown to this machine: an address elsewhere needs a token of its own.
    """
    settings = read_settings(environ)
    url = checked_url(settings.api_url)
    if settings.api_token:
        return Connection(url, _sendable(settings.api_token, "KEEPTRUSTS_API_TOKEN"), "KEEPTRUSTS_API_TOKEN")
    file = data_dir / ADMIN_TOKEN
    if urlsplit(url).hostname not in LOOPBACK:
        raise Failure(
            f"no API token for {url}: export KEEPTRUSTS_API_TOKEN (the one in {file} is for this machine alone)"
        )
    try:
        token = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        token = ""
    except (OSError, UnicodeDecodeError) as trouble:
        raise Failure(f"cannot read the admin token in {file} ({trouble}): export KEEPTRUSTS_API_TOKEN") from None
    if not token:
        raise Failure(f"no API token: export KEEPTRUSTS_API_TOKEN, or start `kt up`, which keeps one in {file}")
    return Connection(url, _sendable(token, str(file)), str(file))


def checked_url(url: str) -> str:
    """The address without a slash at its end. Raises Failure unless it is http(s) with a host and a sound port."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or parts.username or not url.isascii() or not url.isprintable():
        raise Failure(f"KEEPTRUSTS_API_URL must look like {DEFAULT_API_URL}, not {url!r}")
    return url.rstrip("/")


def _sendable(token: str, source: str) -> str:
    if token.isascii() and token.isprintable() and " " not in token:
        return token
    raise Failure(f"the token in {source} cannot be sent: it holds characters that no token has")
