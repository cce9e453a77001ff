"""Answers to questions that were asked in other words: which kept answer, if any, a question may be given too.

The answers themselves stand in the cache, under their exact keys; here are only their questions. A question is compared
with those of its own partition alone: the same scope, door, model, settings and everything said before.

numpy is an extra, and loading it does things: who makes NearAnswers loads it, not who imports this file.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from keeptrusts.core.calls.likeness import DIMENSIONS, asks_the_same, content_of, features, markers_of, words_of

MAX_QUESTIONS_EACH = 256
"""Questions of one partition: the oldest make room."""
MAX_PARTITIONS = 64

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]


class Asked:
    """A question, ready to be compared: ``content`` are the words in which its equals must not differ."""

    __slots__ = ("content", "vector")

    def __init__(self, content: tuple[str, ...], vector: "Vector", length: float) -> None:
        self.content = content
        self.vector: Vector = vector / max(length, 1e-9)


class _Partition:
    __slots__ = ("contents", "keys", "next", "vectors")

    def __init__(self, np: Any, dimensions: int) -> None:
        self.vectors: Vector = np.zeros((MAX_QUESTIONS_EACH, dimensions), np.float32)
        self.contents: list[tuple[str, ...]] = []
        self.keys: list[bytes] = []
        self.next = 0


class NearAnswers:
    """Questions by partition, the partitions that were not asked in for the longest first to go. At most 64 MiB of words; as much for each thousand
    dimensions of an embedder's vectors.

    Raises ImportError where numpy is not installed.
    """

    def __init__(self) -> None:
        import numpy as np

        self._np: Any = np
        self._partitions: OrderedDict[bytes, _Partition] = OrderedDict()

    def ask(self, text: str) -> Asked:
        """A question, to be compared by its letters and words."""
        np, words = self._np, words_of(text)
        vector = np.zeros(DIMENSIONS, np.float32)
        for place, weight in features(words).items():
            vector[place] = weight
        return Asked(content_of(words), vector, float(np.linalg.norm(vector)))

    def ask_by(self, text: str, meaning: list[float]) -> Asked:
        """A question, to be compared by what it means."""
        vector = self._np.asarray(meaning, self._np.float32)
        return Asked(markers_of(words_of(text)), vector, float(self._np.linalg.norm(vector)))

    def find(self, partition: bytes, asked: Asked, threshold: float) -> Iterator[bytes]:
        """The keys of answers to what is the same question in other words, the most alike first."""
        known = self._partitions.get(partition)
        if known is None or not known.keys or known.vectors.shape[1] != len(asked.vector):
            return
        self._partitions.move_to_end(partition)
        likenesses = known.vectors[: len(known.keys)] @ asked.vector
        for at in self._np.argsort(-likenesses):
            if not likenesses[at] >= threshold:
                return  # nor when it is no number
            if asks_the_same(known.contents[at], asked.content):
                yield known.keys[at]

    def add(self, partition: bytes, asked: Asked, key: bytes) -> None:
        """The answer under this key answers this question."""
        known = self._partitions.get(partition)
        if known is None or known.vectors.shape[1] != len(asked.vector):
            known = self._partitions[partition] = _Partition(self._np, len(asked.vector))
            if len(self._partitions) > MAX_PARTITIONS:
                self._partitions.popitem(last=False)
        at = known.next
        if at == len(known.keys):
            known.keys.append(key)
            known.contents.append(asked.content)
        else:
            known.keys[at], known.contents[at] = key, asked.content
        known.vectors[at] = asked.vector
        known.next = (at + 1) % MAX_QUESTIONS_EACH
