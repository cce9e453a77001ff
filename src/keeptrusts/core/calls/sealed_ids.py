"""Ids of answers that a provider remembers, as clients are told them: sealed for the team that made the answer.

All teams share an account at the provider, where an id alone opens what was said: whoever names one must be whose it is.
"""

import re
from base64 import urlsafe_b64encode
from hashlib import blake2b

from keeptrusts.core.refusal import Reason, Refused

MARK = "kt"
SEAL_BYTES = 15
SEAL_LETTERS = 20
MAX_ID = 256
_TOLD = re.compile(rb'("(?:id|response_id|previous_response_id)"\s*:\s*")(resp_[A-Za-z0-9_-]{1,256})"')


class Seals:
    """``key`` is secret, and the same at every gateway; ``owner`` names whose ids these are."""

    def __init__(self, key: bytes, owner: str) -> None:
        self._key = key
        self._owner = owner.encode()

    def seal(self, told: str) -> str:
        """The id as its owner is told it."""
        kind, _, rest = told.partition("_")
        return f"{kind}_{MARK}{self._proof(told)}{rest}"

    def opened(self, given: str, field: str) -> str:
        """The provider's id. Raises Refused(INVALID_REQUEST) for one that this owner was never told."""
        kind, _, rest = given.partition("_")
        told = f"{kind}_{rest[len(MARK) + SEAL_LETTERS :]}"
        if len(given) > MAX_ID or not rest.startswith(MARK) or self.seal(told) != given:
            message = f"`{field}` names no answer of this team's: {given[:64]!r}."
            raise Refused(Reason.INVALID_REQUEST, message, {"param": field})
        return told

    def in_answer(self, content: bytes) -> bytes:
        """The same answer, or whole events of one, with sealed ids."""
        return _TOLD.sub(lambda found: b'%b%b"' % (found[1], self.seal(found[2].decode()).encode()), content)

    def _proof(self, told: str) -> str:
        digest = blake2b(self._owner + b"\0" + told.encode(), digest_size=SEAL_BYTES, key=self._key[:64]).digest()
        return urlsafe_b64encode(digest).decode()
