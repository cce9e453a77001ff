"""``gateway.admin`` and ``telemetry``: how operators watch a gateway."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.values import EnvironmentName, wrong

SOCKET_PATH_BYTES_MAX = 100
"""A socket's address holds no longer path."""

ADMIN_EXAMPLE = "127.0.0.1:41003"


def admin_address(text: str) -> str:
    """The address as it is. Raises PydanticCustomError unless it is HOST:PORT or an absolute path."""
    if text.startswith("/"):
        if len(text.encode()) > SOCKET_PATH_BYTES_MAX or not text.isprintable() or text.endswith("/"):
            raise wrong("bad_address", f"expected a socket's path of at most {SOCKET_PATH_BYTES_MAX} bytes")
        return text
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if (
        not re.fullmatch(r"[0-9A-Za-z.:_-]+", host)
        or not re.fullmatch(r"[0-9]{1,5}", port)
        or not 0 < int(port) < 65_536
    ):
        raise wrong(
            "bad_address", "expected HOST:PORT, or the absolute path of a Unix socket", f"for example {ADMIN_EXAMPLE}"
        )
    return text


Listen = Annotated[str, AfterValidator(admin_address)]


class Admin(Entry):
    """Where operators ask the gateway about itself, beside its own port. An address takes the API token; a socket is its
    owner's alone."""

    listen: Listen | None = Field(
        default=None, description="HOST:PORT, or the path of a Unix socket.", examples=[ADMIN_EXAMPLE]
    )
    token_env: EnvironmentName | None = Field(
        default=None,
        description="The variable that holds the token; `api.token_env` when not set.",
        examples=["KEEPTRUSTS_API_TOKEN"],
    )
