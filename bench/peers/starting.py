"""Getting a gateway up: a free port, an environment without secrets, and a first answer that is the right one."""

import http.client
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.answer_reader import AnswerReader
from bench.child import Child
from bench.peers.gateway import NotAvailable
from bench.requests import Address, Ask, request_bytes

_READY_S = 90.0
PROBES = 2  # right answers that `wait_until_right` takes, one whole, one streamed
_ANSWER_S = 20.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def bare_environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a peer gets to see: no keys, no proxies, a home folder of its own."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LC_ALL": "C.UTF-8", **(more or {})}


def wait_until_right(address: Address, child: Child, asks: Sequence[Ask] = (Ask(), Ask(stream=True))) -> None:
    """Ask until the whole answer, and the stream, come through as they should. Raises NotAvailable."""
    for ask in asks:
        deadline = time.monotonic() + _READY_S
        said = "nothing"
        while True:
            try:
                reader = ask_once(address, ask)
                if reader.is_stream() if ask.stream else reader.is_whole_answer():
                    break
                said = reader.excerpt()
            except (OSError, ValueError) as error:
                said = f"{type(error).__name__}: {error}"
            if child.exit_code is not None:
                raise NotAvailable(f"exited with {child.exit_code} at start: {_last_lines(child)}")
            if time.monotonic() > deadline:
                raise NotAvailable(f"no right answer within {_READY_S:.0f} s; it said: {said[:300]}")
            time.sleep(0.02)


def get(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Status and body of a GET on 127.0.0.1."""
    return _http(port, "GET", path, None, headers)


def post(port: int, path: str, body: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Status and body of a POST on 127.0.0.1."""
    return _http(port, "POST", path, body, headers)


def _http(port: int, method: str, path: str, body: str | None, headers: Mapping[str, str] | None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def ask_once(address: Address, ask: Ask) -> AnswerReader:
    """One answer, read to its end on a connection of its own. Raises OSError and ValueError."""
    reader = AnswerReader()
    with socket.create_connection(("127.0.0.1", address.port), timeout=_ANSWER_S) as connection:
        connection.sendall(request_bytes(address, ask))
        while data := connection.recv(65536):
            if reader.feed(data):
                return reader
    raise ConnectionError("the gateway closed the connection before the end of: " + reader.excerpt())


def _last_lines(child: Child) -> str:
    return " / ".join(line.strip() for line in child.log_text().strip().splitlines()[-4:])
