"""Who calls: every credential that this gateway accepts, in memory, found by its keyed hash."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from hashlib import blake2b

import msgspec

from keeptrusts.core.calls.sealed_ids import Seals
from keeptrusts.core.identity.additions import Additions, additions_of
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.identity.gateway_key import KeyRecord
from keeptrusts.core.identity.networks import Networks, networks
from keeptrusts.core.limits.meter import Meter
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.core.rulebook.rulebook import ConsumerGroup, Rulebook
from keeptrusts.gateway.scopes import Meters, Scopes

DIGEST_BYTES = 16

MAX_CALLING = 1_000
MAX_DERIVED = 10_000
"""Callers with an addition of their clients' that are remembered: values that clients make up must not fill the memory."""

_STATUS_REFUSALS = {
    "revoked": Refused(Reason.KEY_REVOKED, "This key was revoked: ask your platform team for a new one."),
    "suspended": Refused(Reason.KEY_SUSPENDED, "This key is suspended: ask your platform team to resume it."),
}
_ROTATED = Refused(Reason.KEY_EXPIRED, "This key was rotated, and its old secret has ended: use the new one.")
_EXPIRED = Refused(Reason.KEY_EXPIRED, "This key has expired: ask your platform team for a new one.")


class Standing:
    """How an issued key stands now, for calls that began before: it outlives the key's records, of which a call keeps the one
    that it found. ``refusal``: no further request may reach a provider. ``revoked``: nor an answer the client."""

    __slots__ = ("refusal", "revoked")

    def __init__(self) -> None:
        self.refusal: Refused | None = None
        self.revoked: Refused | None = None


_GOOD = Standing()


class Caller:
    """One credential's rights, resolved: what a call needs of them without another look-up.

    ``additions`` is what its clients may add to the attribution, ``places`` the networks that they may call from (one
    of each); None: nothing, and anywhere. ``ended`` is what it is told after ``expires_at``.
    ``added_user`` is the user that a client has named.
    """

    __slots__ = (
        "added_user",
        "additions",
        "allowed_models",
        "attribution",
        "display",
        "ended",
        "expires_at",
        "group",
        "key_id",
        "meters",
        "places",
        "refusal",
        "scope_id",
        "standing",
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
        additions: Additions | None = None,
        places: tuple[Networks, ...] | None = None,
        standing: Standing = _GOOD,
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
        self.ended = _EXPIRED
        self.added_user: str | None = None
        self.additions = additions
        self.places = places
        self.standing = standing

    def but(self, **changes: object) -> "Caller":
        """Another caller that differs in these."""
        other: Caller = object.__new__(Caller)
        for name in Caller.__slots__:
            setattr(other, name, changes.get(name, getattr(self, name)))
        return other

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
        before: "Callers | None" = None,
        proxies: Networks = (),
    ) -> None:
        """``scopes`` knows which limits hold for whom; ``before`` is the index that this one replaces; ``proxies`` are believed
        when they say where a call came from."""
        self.proxies = proxies
        self._pepper = pepper
        self._standings: dict[str, Standing] = {} if before is None else before._standings
        self._derived: OrderedDict[tuple[Caller, Attribution], Caller] = OrderedDict()
        self._everywhere = () if file_allowlist is None else (file_allowlist,)
        self.scopes = scopes
        self._groups: Mapping[str, ConsumerGroup] = {group.name: group for group in groups}
        self._by_digest: dict[bytes, Caller] = {}
        self._calling: dict[bytes, Caller] = {}
        self._records: dict[str, KeyRecord] = {}
        self._digests_of_key: dict[str, tuple[bytes, ...]] = {}
        for group in self._groups.values():
            if group.api_key is not None:
                self._by_digest[self.digest(group.api_key.encode())] = self._of_group(group)

    def secret_for(self, purpose: bytes) -> bytes:
        """A secret of 32 bytes that all gateways of this deployment have, for one purpose alone."""
        return blake2b(purpose, digest_size=32, key=self._pepper).digest()

    def seals_for(self, caller: Caller) -> Seals:
        """The seals of the caller's team, or of the caller alone where it has none."""
        return Seals(self.secret_for(b"ids of remembered answers"), owner_of(caller))

    def digest(self, key: bytes) -> bytes:
        """The keyed hash under which a credential is known."""
        return blake2b(key, digest_size=DIGEST_BYTES, key=self._pepper).digest()

    def find(self, key: bytes) -> Caller | None:
        """The caller whose credential this is.

        Keys that are in use are remembered as they came, which spares most calls the hash: they are in memory anyway, in
        their connections' heads. Any change of a key forgets them all.
        """
        caller = self._calling.get(key)
        if caller is None:
            caller = self._by_digest.get(self.digest(key))
            if caller is not None:
                if len(self._calling) >= MAX_CALLING:
                    self._calling.clear()
                self._calling[key] = caller
        return caller

    def put(self, record: KeyRecord) -> None:
        """Adds or replaces an issued key."""
        for digest in self._digests_of_key.get(record.key_id, ()):
            self._by_digest.pop(digest, None)
        self._derived.clear()
        self._calling.clear()
        self._records[record.key_id] = record
        caller = self._of_key(record)
        found = {bytes.fromhex(record.digest): caller}
        if record.old_digest is not None and record.old_until is not None:
            until = record.old_until.timestamp()
            if caller.expires_at is None or until < caller.expires_at:
                found[bytes.fromhex(record.old_digest)] = caller.but(expires_at=until, ended=_ROTATED)
            else:
                found[bytes.fromhex(record.old_digest)] = caller
        self._digests_of_key[record.key_id] = tuple(found)
        self._by_digest.update(found)

    def with_attribution(self, caller: Caller, attribution: Attribution) -> Caller:
        """The caller as one of its clients that has named more of its attribution: the same one for the same names."""
        key = (caller, attribution)
        derived = self._derived.get(key)
        if derived is not None:
            self._derived.move_to_end(key)
            return derived
        if len(self._derived) >= MAX_DERIVED:
            self._derived.popitem(last=False)
        added_user = attribution.user if caller.attribution.user is None else None
        listed = () if added_user is None else self.scopes.of_listed_user(added_user)
        derived = self._derived[key] = caller.but(
            attribution=attribution,
            meters=caller.meters + listed,
            added_user=None if listed else added_user,
        )
        return derived

    @property
    def records(self) -> Mapping[str, KeyRecord]:
        """Every issued key as it was put last, by its id."""
        return self._records

    def under(self, rulebook: Rulebook, meters: Meters) -> "Callers":
        """The callers of another rulebook, without the issued keys yet."""
        return callers_of(self._pepper, rulebook, meters, self)

    def _of_group(self, group: ConsumerGroup) -> Caller:
        attribution = _of_the_group(group)
        return Caller(
            key_id=None,
            group=group.name,
            attribution=attribution,
            display=group.name,
            allowed_models=self._lists(group.allowed_models),
            meters=self.scopes.of_group_key(group)
            + self.scopes.of_group(group)
            + self.scopes.of_others(attribution.team, attribution.user),
            additions=additions_of(attribution, group.allowed_dimensions),
            places=_places(group.allowed_ips),
        )

    def _of_key(self, record: KeyRecord) -> Caller:
        group = self._groups.get(record.consumer_group or "")
        attribution = record.attribution
        wishes = [record.allowed_dimensions]
        if group is not None:
            bound = msgspec.structs.asdict(attribution).items()
            attribution = msgspec.structs.replace(_of_the_group(group), **{n: v for n, v in bound if v is not None})
            wishes.append(group.allowed_dimensions)
        meters = self.scopes.of_key(record.key_id, record.rate_limit, in_group=group is not None)
        if group is not None:
            meters += self.scopes.of_group(group)
        meters += self.scopes.of_others(attribution.team, attribution.user)
        own = None if record.allowed_models is None else frozenset(record.allowed_models)
        display = record.consumer_group or team_name(attribution.team, self._groups.values())
        refusal = _STATUS_REFUSALS.get(record.status)
        standing = self._standings.setdefault(record.key_id, Standing())
        standing.revoked = refusal if record.status == "revoked" else None
        if record.status == "suspended" and record.suspended_reason == "budget_exhausted":
            # A call that holds its money already may go on: it was there before the budget was used up.
            refusal, standing.refusal = _exhausted(display), None
        else:
            standing.refusal = refusal
        return Caller(
            key_id=record.key_id,
            group=record.consumer_group,
            attribution=attribution,
            display=display,
            allowed_models=self._lists(own) + (() if group is None else self._lists(group.allowed_models)),
            meters=meters,
            refusal=refusal,
            expires_at=None if record.expires_at is None else record.expires_at.timestamp(),
            additions=additions_of(attribution, *wishes),
            places=_places(record.allowed_ips, () if group is None else group.allowed_ips),
            standing=standing,
        )

    def _lists(self, allowed: frozenset[str] | None) -> tuple[frozenset[str], ...]:
        return self._everywhere if allowed is None or "*" in allowed else (*self._everywhere, allowed)


def callers_of(pepper: bytes, rulebook: Rulebook, meters: Meters, before: Callers | None = None) -> Callers:
    """The callers of a rulebook, before any issued key is known; ``meters`` know what was used before, ``before`` is the index
    that this one replaces."""
    scopes = Scopes(rulebook.limits, meters)
    proxies = networks(rulebook.trusted_proxies)
    return Callers(pepper, rulebook.groups, rulebook.model_allowlist, scopes, before, proxies)


def owner_of(caller: Caller) -> str:
    """Whose the answers are that a provider remembers: the caller's team's, or the caller's own where it has none."""
    team = caller.attribution.team
    return f"team:{team}" if team is not None else f"caller:{caller.scope_id}"


def team_name(team_id: str | None, groups: Iterable[ConsumerGroup] = ()) -> str:
    """A team's name for people: that of the one group that spends from its wallet, else its id without ``team_``."""
    if team_id is None:
        return "unassigned"
    names = [group.name for group in groups if (group.wallet_team_id or group.name) == team_id]
    return names[0] if len(names) == 1 else team_id.removeprefix("team_")


def _exhausted(display: str) -> Refused:
    return Refused(
        Reason.BUDGET_EXHAUSTED,
        f"Budget exceeded for {display}: this key is suspended, and goes on by itself when there is money again.",
        {"team": display, "suspended_reason": "budget_exhausted"},
    )


def _of_the_group(group: ConsumerGroup) -> Attribution:
    return Attribution(**{"team": group.wallet_team_id or group.name, **group.attribution})


def _places(*lists: tuple[str, ...]) -> tuple[Networks, ...] | None:
    """A key's list and its group's: both hold."""
    return tuple(networks(each) for each in lists if each) or None
