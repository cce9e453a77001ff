"""What the environment says: read once, at the door, into a frozen value."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

DEFAULT_API_URL = "http://localhost:8080"


class Settings(Struct, frozen=True):
    """``api_token`` None: the command line has no right to ask, and an API process makes an admin token of its own.

    ``database_url`` None: the ledger is in the data directory. ``key_pepper`` None: that is there too.
    ``strict_teams``: only teams that somebody has entered can be given money or keys.
    """

    api_url: str = DEFAULT_API_URL
    api_token: str | None = None
    database_url: str | None = None
    key_pepper: str | None = None
    strict_teams: bool = False


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings in ``environ``; an empty variable counts as unset."""
    return Settings(
        api_url=(environ.get("KEEPTRUSTS_API_URL") or DEFAULT_API_URL).rstrip("/"),
        api_token=environ.get("KEEPTRUSTS_API_TOKEN") or None,
        database_url=environ.get("KEEPTRUSTS_DATABASE_URL") or None,
        key_pepper=environ.get("KEEPTRUSTS_KEY_PEPPER") or None,
        strict_teams=environ.get("KEEPTRUSTS_STRICT_TEAMS", "").lower() in ("1", "true", "yes"),
    )


def default_data_dir(home: Path) -> Path:
    """Where ledger, journals and tokens are kept unless ``--data-dir`` says otherwise."""
    return home / ".keeptrusts"
