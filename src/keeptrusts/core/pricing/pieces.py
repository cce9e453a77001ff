"""What is billed by the piece: pictures, characters, minutes of sound, tools that run at the provider; and service tiers."""

from msgspec import Struct

from keeptrusts.core.calls.other_usage import Other
from keeptrusts.core.money import nanos_of_part_up

MS_PER_MINUTE = 60_000
CHARACTERS = 1_000


class ServiceTier(Struct, frozen=True):
    """What tokens cost at a tier of the provider (``flex``, ``priority``), in percent of the standard price."""

    name: str
    percent: int


class ImagePrice(Struct, frozen=True):
    """What one picture costs, in nano-USD. ``quality`` or ``size`` None: whatever it is."""

    nanos: int
    quality: str | None = None
    size: str | None = None


class Pieces(Struct, frozen=True):
    """Prices in nano-USD; None: not sold, or not by the piece. Of ``images`` the first that fits a picture holds."""

    images: tuple[ImagePrice, ...] = ()
    characters_1k: int | None = None
    audio_minute: int | None = None
    web_search: int | None = None
    file_search: int | None = None
    code_session: int | None = None


NO_PIECES = Pieces()


def image_kind(quality: str | None, size: str | None) -> str:
    """A picture's quality and size, as usage tells them."""
    return f"{quality or ''}/{size or ''}"[:64]


def image_nanos(pieces: Pieces, kind: str | None) -> int | None:
    """What a picture of this kind costs; None where nothing says so."""
    quality, _, size = (kind or "/").partition("/")
    for price in pieces.images:
        if price.quality in (None, quality) and price.size in (None, size):
            return price.nanos
    return None


def dearest_image_nanos(pieces: Pieces, kind: str | None) -> int | None:
    """The most that a picture can cost of which only this is known: an empty quality or size may turn out to be any."""
    quality, _, size = (kind or "/").partition("/")
    fitting = [
        price.nanos
        for price in pieces.images
        if (price.quality in (None, quality) or not quality) and (price.size in (None, size) or not size)
    ]
    return max(fitting, default=None)


def pieces_nanos(pieces: Pieces | None, other: Other) -> int:
    """What all pieces cost that have a price."""
    if pieces is None:
        return 0
    nanos = other.images * (image_nanos(pieces, other.image_kind) or 0)
    nanos += nanos_of_part_up(pieces.characters_1k or 0, other.characters, CHARACTERS)
    nanos += nanos_of_part_up(pieces.audio_minute or 0, other.audio_ms, MS_PER_MINUTE)
    nanos += other.web_searches * (pieces.web_search or 0) + other.file_searches * (pieces.file_search or 0)
    return nanos + other.code_sessions * (pieces.code_session or 0)


def unpriced_piece(pieces: Pieces | None, other: Other, flat: bool) -> str | None:
    """What was used and has no price, in words. ``flat``: a fee per call pays for pictures, characters and sound."""
    known = pieces or NO_PIECES
    if other.images and not (flat or other.image_output) and image_nanos(known, other.image_kind) is None:
        return f"pictures of {other.image_kind}"
    fee = 0 if flat else None
    for count, price, what in (
        (other.characters, fee if known.characters_1k is None else known.characters_1k, "characters"),
        (other.audio_ms, fee if known.audio_minute is None else known.audio_minute, "minutes of sound"),
        (other.web_searches, known.web_search, "web searches"),
        (other.file_searches, known.file_search, "file searches"),
        (other.code_sessions, known.code_session, "sessions of the code interpreter"),
    ):
        if count and price is None:
            return what
    return None
