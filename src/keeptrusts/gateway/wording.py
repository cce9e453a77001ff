"""One call's question, and those that ask the same in other words."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING

from keeptrusts.core.calls.questions import Question, question_of
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.gateway.cache import KEY_BYTES

if TYPE_CHECKING:
    from keeptrusts.gateway.meaning import Meaning
    from keeptrusts.gateway.near_answers import Asked, NearAnswers


class Wording:
    """Compared only within its partition: same scope, same ways, same settings, same talk before. It is read when it is
    first needed, since most calls are answered before."""

    __slots__ = ("_asked", "_meaning", "_near", "_partition", "_request", "_scope")

    def __init__(self, near: "NearAnswers", scope: bytes, request: TextRequest, meaning: "Meaning | None") -> None:
        self._near = near
        self._scope = scope
        self._request: TextRequest | None = request
        self._meaning = meaning
        self._partition = b""
        self._asked: Asked | None = None

    async def read(self) -> None:
        """Makes the question ready to be compared; with an embedder by what it means, which is paid for."""
        question = self._question()
        if question is None:
            return
        if self._meaning is None:
            self._asked = self._near.ask(question.words)
        elif (vector := await self._meaning.of(question.words)) is not None:
            self._asked = self._near.ask_by(question.words, vector)

    def others(self, threshold: float) -> Iterator[bytes]:
        """Where answers to the same question in other words are kept, the most alike first."""
        return iter(()) if self._asked is None else self._near.find(self._partition, self._asked, threshold)

    def give_way(self) -> None:
        """Nobody has asked this yet: the call goes on to buy an answer."""
        if self._meaning is not None:
            self._meaning.give_way()

    def answered_by(self, key: bytes) -> None:
        """The question has its own answer, under this key."""
        if self._asked is None and self._meaning is None and (question := self._question()) is not None:
            self._asked = self._near.ask(question.words)
        if self._asked is not None:
            self._near.add(self._partition, self._asked, key)

    def _question(self) -> Question | None:
        """Once; None for what only an equal call can be answered alike."""
        if self._request is None:
            return None
        question, self._request = question_of(self._request), None
        if question is not None:
            self._partition = blake2b(self._scope + b"\0" + question.rest, digest_size=KEY_BYTES).digest()
        return question
