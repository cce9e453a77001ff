"""One call's question, and those that ask the same in other words."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING

from keeptrusts.core.calls.questions import question_of
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.gateway.cache import KEY_BYTES

if TYPE_CHECKING:
    from keeptrusts.gateway.near_answers import Asked, NearAnswers


class Wording:
    """Compared only within its partition: same scope, same ways, same settings, same talk before. It is read when it is
    first needed, since most calls are answered before."""

    __slots__ = ("_asked", "_near", "_partition", "_request", "_scope")

    def __init__(self, near: "NearAnswers", scope: bytes, request: TextRequest) -> None:
        self._near = near
        self._scope = scope
        self._request: TextRequest | None = request
        self._partition = b""
        self._asked: Asked | None = None

    def others(self, threshold: float) -> Iterator[bytes]:
        """Where answers to the same question in other words are kept, the most alike first."""
        asked = self._read()
        return iter(()) if asked is None else self._near.find(self._partition, asked, threshold)

    def answered_by(self, key: bytes) -> None:
        """The question has its own answer, under this key."""
        asked = self._read()
        if asked is not None:
            self._near.add(self._partition, asked, key)

    def _read(self) -> "Asked | None":
        """None for what only an equal call can be answered alike."""
        if self._request is not None:
            question, self._request = question_of(self._request), None
            if question is not None:
                self._partition = blake2b(self._scope + b"\0" + question.rest, digest_size=KEY_BYTES).digest()
                self._asked = self._near.ask(question.words)
        return self._asked
