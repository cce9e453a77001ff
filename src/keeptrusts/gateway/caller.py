"""Who calls: every credential that this gateway accepts, in memory, found by its keyed hash."""

import time
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.identity.gateway_key import GATEWAY_PREFIX, GROUP_PREFIX, KeyRecord, has_valid_checksum
from keeptrusts.core.limits.meter import Meter
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.core.rulebook.rulebook import ConsumerGroup, Rulebook
from keeptrusts.gateway.scopes import Meters, Scopes

DIGEST_BYTES = 16

_STATUS_REFUSALS = {
    "revoked": Refused(Reason.KEY_REVOKED, "This key was revoked: ask your platform team for a new one."),
    "suspended": Refused(Reason.KEY_SUSPENDED, "This key is suspended: ask your platform team to resume it."),
}
_EXPIRED = Refused(Reason.KEY_EXPIRED, "This key has expired: ask your platform team for a new one.")
_MISSING = Refused(
    Reason.MISSING_KEY,
    "No key was sent: use `Authorization: Bearer kt_gk_...`, or `X-Consumer-Group: kt_cg_...` with a group's key.",
)
_UNKNOWN = Refused(Reason.INVALID_KEY, "This key is not known here. Check that it was copied whole.")
_MALFORMED = Refused(
    Reason.INVALID_KEY, "This is not a Keeptrusts key, or a part of it is missing: it has a wrong checksum."
)


class Caller:
    """One credential's rights, resolved: what a call needs of them without another look-up."""

    __slots__ = (
        "allowed_models",
        "attribution",
        "display",
        "expires_at",
        "group",
        "key_id",
        "meters",
        "refusal",
        "scope_id",
    )

    def __init__(
        self,
        key_id: str | None,
        group: str | None,
        attribution: Attribution,
        display: str,
        allowed_models: tuple[frozenset[str], ...],
        meters: tuple[Meter, ...],
        refusal: Refused | None = None,
        expires_at: float | None = None,
    ) -> None:
        self.key_id = key_id
        self.group = group
        self.attribution = attribution
        self.display = display
        self.allowed_models = allowed_models
        self.meters = meters
        self.refusal = refusal
        self.expires_at = expires_at
        self.scope_id = key_id or group or ""

    def may_use(self, model: str) -> bool:
        """Whether every list that binds this caller holds the model."""
        return all(model in allowed for allowed in self.allowed_models)

    def may_use_any(self, names: tuple[str, ...]) -> bool:
        """Whether every list that binds this caller holds one of these names of the same thing."""
        return not any(allowed.isdisjoint(names) for allowed in self.allowed_models)


class Callers:
    """The index of credentials: the policy file's groups and the control plane's keys. Keys change by deltas."""

    def __init__(
        self,
        pepper: bytes,
        groups: Iterable[ConsumerGroup],
        file_allowlist: frozenset[str] | None,
        scopes: Scopes,
    ) -> None:
        """``scopes`` knows which limits hold for whom."""
        self._pepper = pepper
        self._everywhere = () if file_allowlist is None else (file_allowlist,)
        self.scopes = scopes
        self._groups: Mapping[str, ConsumerGroup] = {group.name: group for group in groups}
        self._by_digest: dict[bytes, Caller] = {}
        self._records: dict[str, KeyRecord] = {}
        for group in self._groups.values():
            if group.api_key is not None:
                self._by_digest[self.digest(group.api_key.encode())] = self._of_group(group)

    def secret_for(self, purpose: bytes) -> bytes:
        """A secret of 32 bytes that all gateways of this deployment have, for one purpose alone."""
        return blake2b(purpose, digest_size=32, key=self._pepper).digest()

    def digest(self, key: bytes) -> bytes:
        """The keyed hash under which a credential is known."""
        return blake2b(key, digest_size=DIGEST_BYTES, key=self._pepper).digest()

    def find(self, key: bytes) -> Caller | None:
        """The caller whose credential this is."""
        return self._by_digest.get(blake2b(key, digest_size=DIGEST_BYTES, key=self._pepper).digest())

    def put(self, record: KeyRecord) -> None:
        """Adds or replaces an issued key."""
        digest = bytes.fromhex(record.digest)
        old = self._records.get(record.key_id)
        if old is not None and old.digest != record.digest:
            self._by_digest.pop(bytes.fromhex(old.digest), None)
        self._records[record.key_id] = record
        self._by_digest[digest] = self._of_key(record)

    @property
    def records(self) -> Mapping[str, KeyRecord]:
        """Every issued key as it was put last, by its id."""
        return self._records

    def under(self, rulebook: Rulebook, meters: Meters) -> "Callers":
        """The callers of another rulebook, without the issued keys yet."""
        return callers_of(self._pepper, rulebook, meters)

    def _of_group(self, group: ConsumerGroup) -> Caller:
        attribution = Attribution(**{"team": group.wallet_team_id or group.name, **group.attribution})
        return Caller(
            key_id=None,
            group=group.name,
            attribution=attribution,
            display=group.name,
            allowed_models=self._lists(group.allowed_models),
            meters=self.scopes.of_group_key(group)
            + self.scopes.of_group(group)
            + self.scopes.of_others(attribution.team, attribution.user),
        )

    def _of_key(self, record: KeyRecord) -> Caller:
        group = self._groups.get(record.consumer_group or "")
        attribution = record.attribution
        if attribution.team is None and group is not None:
            attribution = Attribution(
                **{name: getattr(attribution, name) for name in Attribution.__struct_fields__ if name != "team"},
                team=group.wallet_team_id or group.name,
            )
        meters = self.scopes.of_key(record.key_id, record.rate_limit, in_group=group is not None)
        if group is not None:
            meters += self.scopes.of_group(group)
        meters += self.scopes.of_others(attribution.team, attribution.user)
        own = None if record.allowed_models is None else frozenset(record.allowed_models)
        return Caller(
            key_id=record.key_id,
            group=record.consumer_group,
            attribution=attribution,
            display=record.consumer_group or team_name(attribution.team, self._groups.values()),
            allowed_models=self._lists(own) + (() if group is None else self._lists(group.allowed_models)),
            meters=meters,
            refusal=_STATUS_REFUSALS.get(record.status),
            expires_at=None if record.expires_at is None else record.expires_at.timestamp(),
        )

    def _lists(self, allowed: frozenset[str] | None) -> tuple[frozenset[str], ...]:
        return self._everywhere if allowed is None or "*" in allowed else (*self._everywhere, allowed)


def callers_of(pepper: bytes, rulebook: Rulebook, meters: Meters) -> Callers:
    """The callers of a rulebook, before any issued key is known; ``meters`` know what was used before."""
    return Callers(pepper, rulebook.groups, rulebook.model_allowlist, Scopes(rulebook.limits, meters))


def team_name(team_id: str | None, groups: Iterable[ConsumerGroup] = ()) -> str:
    """A team's name for people: that of the one group that spends from its wallet, else its id without ``team_``."""
    if team_id is None:
        return "unassigned"
    names = [group.name for group in groups if (group.wallet_team_id or group.name) == team_id]
    return names[0] if len(names) == 1 else team_id.removeprefix("team_")


def identify(callers: Callers, headers: Mapping[bytes, bytes]) -> tuple[Caller, Refused | None]:
    """The caller that the credential in the headers stands for, and why it may not call now, if so.

    Raises Refused for a credential that nobody here has; no message repeats it.
    """
    key = headers.get(b"x-consumer-group")
    if key is None:
        key = headers.get(b"authorization")
        if key is not None:
            key = key[7:].strip() if key[:7].lower() == b"bearer " else b""
        else:
            key = headers.get(b"x-api-key")
            if key is None:
                raise _MISSING.again()
    caller = callers.find(key)
    if caller is None:
        raise _unknown(key)
    if caller.expires_at is not None and caller.expires_at <= time.time():
        return caller, _EXPIRED
    return caller, caller.refusal


def _unknown(key: bytes) -> Refused:
    text = key.decode("latin-1")
    if text.startswith((GATEWAY_PREFIX, GROUP_PREFIX)) and has_valid_checksum(text):
        return _UNKNOWN.again()
    return _MALFORMED.again() if text.startswith(GATEWAY_PREFIX) else _UNKNOWN.again()
