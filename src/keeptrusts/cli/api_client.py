"""A small client of the API on the standard library: JSON in and out, numbers exact, every refusal one clear sentence."""

import errno
import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from keeptrusts import __version__
from keeptrusts.cli.connection import Connection, find_connection
from keeptrusts.cli.failure import CANNOT_ASK, SAID_NO, Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.printable import printable
from keeptrusts.settings import default_data_dir

TIMEOUT_S = 30.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_PAGES = 100_000
PAGE_LIMIT = 1_000


class Unreachable(Failure):
    """Nobody answered, or somebody who is not the API."""


class ApiRefused(Failure):
    """The API answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, SAID_NO)
        self.status = status


class Api:
    """The API as one connection sees it. Numbers with a point come back as Decimal, whole ones as int; never a float."""

    def __init__(self, connection: Connection, timeout_s: float = TIMEOUT_S) -> None:
        self._to = connection
        self._timeout_s = timeout_s

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """The decoded answer of ``GET /v1/<path>``; query values that are None are left out."""
        return self._ask("GET", path, query, None)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        return self._ask("POST", path, None, body)

    def put(self, path: str, body: Mapping[str, object]) -> Any:
        return self._ask("PUT", path, None, body)

    def patch(self, path: str, body: Mapping[str, object]) -> Any:
        return self._ask("PATCH", path, None, body)

    def delete(self, path: str) -> Any:
        """The decoded answer, None for an empty one (204)."""
        return self._ask("DELETE", path, None, None)

    def pages(self, path: str, rows: str, query: Mapping[str, object] | None = None) -> Iterator[list[dict[str, Any]]]:
        """Every page of a collection whose rows stand under ``rows``, following ``next_cursor`` to its end."""
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            answer = self.get(path, {"limit": PAGE_LIMIT, **(query or {}), "cursor": cursor})
            page = member(answer, rows, list, path)
            yield page
            cursor = answer.get("next_cursor")
            if not cursor:
                return

    def _ask(
        self, method: str, path: str, query: Mapping[str, object] | None, body: Mapping[str, object] | None
    ) -> Any:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{self._to.prefix}/v1/{path}" + (f"?{urlencode(given, quote_via=quote)}" if given else "")
        headers = {
            "Authorization": f"Bearer {self._to.token}",
            "Accept": "application/json",
            "User-Agent": f"kt/{__version__}",
        }
        payload = None
        if body is not None:
            payload = json_text(body).encode()
            headers["Content-Type"] = "application/json"
        status, answer = self._exchange(method, target, headers, payload)
        if status >= 400:
            raise self._refusal(status, answer)
        return self._decoded(answer)

    def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], payload: bytes | None
    ) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self._to.scheme == "https" else http.client.HTTPConnection
        line = kind(self._to.host, self._to.port, timeout=self._timeout_s)
        try:
            line.request(method, target, payload, dict(headers))
            response = line.getresponse()
            answer = response.read(MAX_ANSWER_BYTES + 1)
        except http.client.HTTPException as trouble:
            raise self._not_ours(f"it does not speak HTTP as we do: {type(trouble).__name__}") from None
        except OSError as trouble:
            raise Unreachable(
                f"cannot reach the Keeptrusts API at {self._to.url} ({_why(trouble)}): "
                "start it with `kt up`, or set KEEPTRUSTS_API_URL to where it runs",
                CANNOT_ASK,
            ) from None
        finally:
            line.close()
        if len(answer) > MAX_ANSWER_BYTES:
            raise Unreachable(
                f"the answer of {self._to.url} is over {MAX_ANSWER_BYTES} bytes: ask for a shorter time", CANNOT_ASK
            )
        return response.status, answer

    def _decoded(self, answer: bytes) -> Any:
        if not answer:
            return None
        try:
            return json.loads(answer, parse_float=Decimal)
        except (ValueError, RecursionError):
            raise self._not_ours("the answer is not JSON") from None

    def _refusal(self, status: int, answer: bytes) -> Failure:
        try:
            error = json.loads(answer)["error"]
            message, code = printable(str(error["message"])), printable(str(error.get("code") or ""))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            message, code = "", ""
        if status == 401:
            return ApiRefused(
                status,
                f"the API at {self._to.url} does not accept the token from {self._to.token_source} (401): "
                + (message or "export KEEPTRUSTS_API_TOKEN with one that it knows"),
            )
        if not message:
            return ApiRefused(status, f"the API at {self._to.url} answered {status} without saying why")
        return ApiRefused(status, f"the API said no ({status}{' ' + code if code else ''}): {message}")

    def _not_ours(self, why: str) -> Unreachable:
        return Unreachable(
            f"what answers at {self._to.url} is not the Keeptrusts API ({why}): check KEEPTRUSTS_API_URL", CANNOT_ASK
        )


def api_of_this_shell() -> Api:
    """The API that the environment, or else the default data directory, speaks of; raises Failure as find_connection."""
    return Api(find_connection(os.environ, default_data_dir(Path.home())))


def member(answer: Any, name: str, kind: type, path: str) -> Any:
    """``answer[name]``, which must be of ``kind``; raises Failure naming the path when the API sent another shape."""
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, kind):
        raise Unreachable(
            f"the API's answer to /v1/{path} has no {name}: this `kt` ({__version__}) and the API are of different versions",
            CANNOT_ASK,
        )
    return value


def _why(trouble: OSError) -> str:
    if isinstance(trouble, TimeoutError):
        return "no answer in time"
    if isinstance(trouble, socket.gaierror):
        return "unknown host"
    if trouble.errno == errno.ECONNREFUSED:
        return "connection refused"
    return trouble.strerror or type(trouble).__name__
