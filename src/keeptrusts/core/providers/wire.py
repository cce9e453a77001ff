"""What lies between a client's dialect and a provider's: how a call is written there, and how its answer comes back.

A ``Wire`` is chosen by the client's door and the target's provider (``wires.py``); the gateway knows no dialect.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.usage import Usage, UsageSource

CountTokens = Callable[[str], int]

SAMPLE_BYTES = 32 * 1024
"""How much of a stream is kept to count its tokens by, should the provider not say them."""


KEY_STATUSES = (401, 403)


class Bill(Struct, frozen=True):
    """What an answer says of itself. ``usage`` None: it does not say, or what it says cannot be.

    ``source`` is where the usage is from: the provider's figures, or what the request holds and the answer proves.
    """

    usage: Usage | None
    served_model: str | None
    source: UsageSource = UsageSource.PROVIDER


NOTHING_SAID = Bill(None, None)


class NoAnswer(Exception):
    """What the provider sent with a good status is not an answer of its dialect."""


class Whole(Struct, frozen=True):
    """A whole answer: its bill, and the body for the client."""

    bill: Bill
    body: bytes


class Stream(Protocol):
    """A stream's bytes as they pass: what the client may see at once, and what ends the stream, which is kept back so that
    the call is settled before the client learns that the answer is complete."""

    done: bool
    """Whether the stream came to its proper end."""
    served_model: str | None

    @property
    def usage(self) -> Usage | None:
        """What the provider says the whole answer used, once it has said that for good."""

    def feed(self, data: bytes) -> bytes:
        """What may be relayed now, of these bytes and those before; cut anywhere."""

    def finish(self) -> bytes:
        """The stream came to its end, and a last event that lacks only its blank line counts."""

    def rest(self) -> bytes:
        """What is left when the upstream ended in the middle of an event that the client has seen a part of."""

    @property
    def overfull(self) -> bool:
        """Whether an event has begun that is larger than any may be."""

    @property
    def broken(self) -> str | None:
        """What the provider said is wrong, in the middle of its stream."""

    def count_output(self, count_tokens: CountTokens) -> int:
        """The tokens of what was relayed, by our own count."""

    def end(self) -> bytes:
        """What ends the stream for the client, once the call is settled."""


class Wire(Protocol):
    """One way from a client's dialect to a provider's and back. ``now_s`` is Unix time, for answers that tell one."""

    passed: tuple[bytes, ...]
    """Headers of the client's that go on to the provider."""

    def path(self, model: str, stream: bool) -> str:
        """Where the call goes, below the target's base URL."""

    def body(self, request: TextRequest, model: str, sent_limit: int | None, longest: int | None) -> bytes:
        """What is sent. ``sent_limit``: an output limit that we set; ``longest``: the model's own, where it is known.

        Raises Refused(INVALID_REQUEST) for what the provider can't do.
        """

    def whole(self, request: TextRequest, content: bytes, now_s: int) -> Whole:
        """A whole answer. Raises NoAnswer."""

    def spoken(self, content: bytes) -> list[str]:
        """What the model says in a whole answer, for our own count."""

    def stream(self, request: TextRequest, now_s: int) -> Stream:
        """A reader of the answer's stream."""

    def of_bytes(self, request: TextRequest) -> Bill:
        """The bill of a binary answer that came whole."""

    def rejects_key(self, status: int, content: bytes) -> bool:
        """Whether an error says that the provider does not take our own key."""

    def error(self, request: TextRequest, status: int, content: bytes) -> bytes:
        """The body of a provider's error, for the client."""
