"""Who may ask the gateway about itself: whoever has the API token. A key for calls never opens anything here."""

from collections.abc import Mapping
from hmac import compare_digest

from keeptrusts.core.identity.gateway_key import GATEWAY_PREFIX, GROUP_PREFIX
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.core.rulebook.rulebook import Rulebook

DEFAULT_TOKEN_ENV = "KEEPTRUSTS_API_TOKEN"
MAX_TOKEN_BYTES = 512
_BEARER = b"bearer "
_KEYS = (GATEWAY_PREFIX.encode(), GROUP_PREFIX.encode())


class Access:
    """One token, from the variable ``token_env``. Without a token nobody gets in."""

    def __init__(self, token: str | None, token_env: str) -> None:
        self._token = token.strip().encode() if token is not None else b""
        self.token_env = token_env

    @property
    def has_token(self) -> bool:
        """Whether somebody can get in at all."""
        return bool(self._token)

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises Refused unless the headers carry the token; no message repeats what they carry."""
        if not self._token:
            raise Refused(
                Reason.MISSING_KEY,
                f"This needs the API token, and the gateway was started without one: set {self.token_env}.",
            )
        given = headers.get(b"authorization", b"")
        if given[: len(_BEARER)].lower() != _BEARER:
            raise Refused(Reason.MISSING_KEY, "Send the API token as `Authorization: Bearer <token>`.")
        token = given[len(_BEARER) :].strip()
        if len(token) <= MAX_TOKEN_BYTES and compare_digest(token, self._token):
            return
        if token.startswith(_KEYS):
            raise Refused(
                Reason.ADMIN_ONLY, "A gateway key is for calls; the gateway tells about itself for the API token alone."
            )
        raise Refused(Reason.INVALID_KEY, f"This is not the token in the gateway's {self.token_env}.")


def access_of(rulebook: Rulebook, environment: Mapping[str, str]) -> Access:
    """The access that the rules and the environment give."""
    fallback = DEFAULT_TOKEN_ENV if rulebook.api is None else rulebook.api.token_env
    token_env = rulebook.admin.token_env or fallback
    return Access(environment.get(token_env), token_env)
