"""Things that have a form of their own, such as a card's number: looked for in the text as it is written."""

from collections.abc import Callable

from msgspec import Struct


class Pattern(Struct, frozen=True):
    """A form in RE2's syntax. See kind.Sought.

    ``loose`` finds in a JSON body in ASCII, of any case, whatever ``form`` finds in one of its strings, and more; None: there
    is no such pattern, and every body is decoded. A match of ``longest_bytes`` or more is cut there.
    """

    form: str
    loose: bytes | None
    longest_bytes: int
    accept: Callable[[bytes], bool] | None = None
    eats: tuple[bytes, bytes] | None = None

    folded = False
    led = False

    def in_text(self) -> bytes:
        """The pattern, in a group."""
        return b"(" + self.form.encode() + b")"

    def in_body(self) -> bytes | None:
        """See ``loose``."""
        return self.loose
