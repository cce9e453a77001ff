"""How workers of one port speak to each other: a private Unix socket for each, one question and one answer a connection."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.acceptor import Place

log = logging.getLogger("keeptrusts::gateway")

DIRECTORY = "workers"
ANSWER_S = 5.0
"""How long a worker waits for a sibling that is busy, or stuck."""

MAX_QUESTION_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 16 * 1024 * 1024


class _Question(Struct):
    method: str
    path: str
    body: bytes


class _Answer(Struct):
    part: Any = None
    refused: str | None = None
    message: str = ""
    details: dict[str, Any] = {}


_encode = msgspec.msgpack.Encoder().encode
_read_question = msgspec.msgpack.Decoder(_Question).decode
_read_answer = msgspec.msgpack.Decoder(_Answer).decode


class Siblings:
    """This worker's socket, and the way to the others'. ``answer`` is asked for this worker's part; it may raise Refused."""

    def __init__(self, place: Place, data_dir: Path) -> None:
        host, port = place.listener.getsockname()[:2]
        self.name = str(place.number)
        self._others = [str(n) for n in range(len(place.counts)) if n != place.number]
        self._prefix = f"{host.replace(':', '_')}-{port}-"
        self._directory = data_dir / "gateway" / DIRECTORY
        self._descriptor = -1
        self._server: asyncio.Server | None = None
        self._answer: Callable[[str, str, bytes], Awaitable[Any]] | None = None

    async def open(self, answer: Callable[[str, str, bytes], Awaitable[Any]]) -> None:
        """Answers siblings from now on. A directory that can't be used costs the others this worker's part, and no call."""
        self._answer = answer
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with suppress(FileNotFoundError):
                os.unlink(self._prefix + self.name, dir_fd=self._descriptor)
            listener.bind(self._path(self.name))
            self._server = await asyncio.start_unix_server(self._serve, sock=listener)
        except OSError as error:
            log.warning("Other workers can't ask this one for its metrics: %s: %s", self._directory, error.strerror)

    def _path(self, name: str) -> str:
        """A path that is short enough for a socket's address, however long the directory's is."""
        return f"/proc/self/fd/{self._descriptor}/{self._prefix}{name}"

    async def ask(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        """What each of the others has to say; None where one does not answer. Raises Refused when one refuses."""
        question = _encode(_Question(method, path, body))
        answers = await asyncio.gather(*(self._ask(name, question) for name in self._others))
        for answer in answers:
            if answer.refused is not None:
                raise Refused(Reason(answer.refused), answer.message, answer.details)
        return {name: answer.part for name, answer in zip(self._others, answers, strict=True)}

    async def _ask(self, name: str, question: bytes) -> _Answer:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            async with asyncio.timeout(ANSWER_S):
                await asyncio.get_running_loop().sock_connect(connection, self._path(name))
                reader, writer = await asyncio.open_unix_connection(sock=connection)
                try:
                    writer.write(question)
                    writer.write_eof()
                    return _read_answer(await _read_all(reader, MAX_ANSWER_BYTES))
                finally:
                    writer.close()
        except (OSError, TimeoutError, msgspec.DecodeError):
            return _Answer()
        finally:
            connection.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._answer is not None
        try:
            async with asyncio.timeout(ANSWER_S):
                question = _read_question(await _read_all(reader, MAX_QUESTION_BYTES))
                try:
                    answer = _Answer(await self._answer(question.method, question.path, question.body))
                except Refused as refused:
                    answer = _Answer(None, refused.reason.value, refused.message, dict(refused.details))
                writer.write(_encode(answer))
                await writer.drain()
        except (OSError, TimeoutError, msgspec.DecodeError) as error:
            log.warning("Another worker's question was not answered: %s: %s", type(error).__name__, error)
        finally:
            writer.close()

    def close(self) -> None:
        """Answers no more."""
        if self._server is not None:
            self._server.close()
            with suppress(OSError):
                os.unlink(self._prefix + self.name, dir_fd=self._descriptor)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


async def _read_all(reader: asyncio.StreamReader, max_bytes: int) -> bytes:
    """Everything until the other side has said all. Raises OSError when that is too much."""
    parts: list[bytes] = []
    size = 0
    while data := await reader.read(64 * 1024):
        size += len(data)
        if size > max_bytes:
            raise OSError(f"more than {max_bytes} bytes")
        parts.append(data)
    return b"".join(parts)
