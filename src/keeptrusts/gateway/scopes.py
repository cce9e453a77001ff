"""Whose limits hold for a call: its key, group, team, user, model, address and everybody, as meters and the gates of them."""

import os
from collections.abc import Iterator
from typing import Protocol

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.identity.networks import networks
from keeptrusts.core.limits.gate import Exceeded, Gate, Permit
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.meter import Memory, Meter, OwnMemory
from keeptrusts.core.limits.quotas import Quotas, both, divided, quotas_of
from keeptrusts.core.limits.rules import LimitRules
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.core.rulebook.rulebook import ConsumerGroup
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.client_address import client_address
from keeptrusts.gateway.counts import NamedMemory, SharedMemory, own_names
from keeptrusts.gateway.limiting import NO_GATE, refusal

MAX_GATES = 10_000
NAME_MAX_BYTES = 256
UNKNOWN = frozenset({Reason.MISSING_KEY, Reason.INVALID_KEY, Reason.AMBIGUOUS_KEY})


class SharedStore(Protocol):
    """Where several hosts count together: ``limit_store.py``. ``away``: it does not answer; ``falls`` says how often so far,
    ``hosts`` how many count there."""

    @property
    def away(self) -> bool: ...

    @property
    def falls(self) -> int: ...

    @property
    def hosts(self) -> int: ...

    async def admit(self, gate: Gate, request: TextRequest, default_output_tokens: int, now_s: int) -> Permit:
        """As ``limiting.admit``, for all hosts."""

    async def stop(self) -> None:
        """Lets go of it."""


class Meters:
    """Every meter of this process, by its scope's name. What was used stays when rules or keys change.

    ``store``, once there is one, lets calls in instead of their gates.
    """

    store: SharedStore | None = None

    def __init__(self, shared: SharedMemory | None = None) -> None:
        self._shared = shared
        self._memory: Memory = OwnMemory() if shared is None else shared
        self._by_scope: dict[str, Meter] = {}
        self._names: NamedMemory | None = None if shared is None else shared.names

    def of(self, scope: str, quotas: Quotas) -> tuple[Meter, ...]:
        """The meter of this scope, with these quotas; none where nothing is limited."""
        if not quotas:
            return ()
        meter = self._by_scope.get(scope)
        if meter is None:
            meter = self._by_scope[scope] = Meter(scope, quotas, self._memory)
        elif meter.quotas != quotas:
            meter = self._by_scope[scope] = meter.with_quotas(quotas)
        return (meter,)

    def gate(self, meters: tuple[Meter, ...], shown: bool, parts: int = 1) -> Gate:
        """The gate of these meters, or of one part of ``parts`` of them."""
        if not meters:
            return NO_GATE
        return Gate(meters, shown, parts) if self._shared is None else self._shared.gate(meters, shown, parts)

    @property
    def name(self) -> str:
        """What tells the memory that this process counts in from others."""
        return os.urandom(8).hex() if self._shared is None else self._shared.name

    @property
    def names(self) -> NamedMemory:
        """Where names are counted that clients make up."""
        if self._names is None:
            self._names = own_names()
        return self._names

    def __iter__(self) -> Iterator[Meter]:
        return iter(self._by_scope.values())


class Scopes:
    """The limits of one rulebook. ``made_up``: some scopes are known only when a call is there, by its header or address."""

    def __init__(self, rules: LimitRules, meters: Meters) -> None:
        self._rules = rules
        self._proxies = networks(rules.proxies)
        self._meters = meters
        self._gates: dict[tuple[Gate, str | None, str | None], Gate] = {}
        self._generation = 0
        self.made_up = bool(rules.users) or bool(rules.addresses)

    def of_key(self, key_id: str, requests_per_minute: int | None, in_group: bool) -> tuple[Meter, ...]:
        """The meter of an issued key: its own limit and the file's."""
        quotas = both(quotas_of(LimitSet(requests_per_minute=requests_per_minute)), self._rules.keys.of(key_id))
        if not in_group:
            quotas = both(quotas, self._rules.keys_of_no_group)
        return self._of(f"key {key_id}", quotas)

    def of_group(self, group: ConsumerGroup) -> tuple[Meter, ...]:
        """The meter of all keys of a group."""
        return self._of(f"group {group.name}", quotas_of(group.limits))

    def of_group_key(self, group: ConsumerGroup) -> tuple[Meter, ...]:
        """The meter of a group's own key."""
        return self._of(f"key of group {group.name}", self._rules.keys.of(group.name))

    def of_others(self, team: str | None, user: str | None) -> tuple[Meter, ...]:
        """The meters of a caller's team, of the user that its key is bound to, and of everybody."""
        meters = () if team is None else self._of(f"team {team}", self._rules.teams.of(team))
        if user is not None:
            meters += self._of(f"user {user}", self._rules.users.of(user))
        return meters + self._of("everybody", self._rules.everybody)

    def of_listed_user(self, user: str) -> tuple[Meter, ...]:
        """The meter of a user whom the file gives limits by name; others are counted within their key only."""
        return self._of(f"user {user}", self._rules.users.of(user)) if user in self._rules.users.named else ()

    def gate(self, meters: tuple[Meter, ...], model: str | None) -> Gate:
        """The gate of a caller's calls to this model. None: one that nobody lists, of which clients can make any number up;
        they are counted together."""
        each = self._rules.models.each if model is None else self._rules.models.of(model)
        found = meters + self._of("model (unlisted)" if model is None else f"model {model}", each)
        return self._meters.gate(found, self._rules.shown)

    def target_gate(self, target_id: str) -> Gate:
        """The gate of a target."""
        found = self._of(f"target {target_id}", self._rules.targets.of(target_id))
        return self._meters.gate(found, self._rules.shown)

    def gate_of(self, gate: Gate, scope_id: str, has_user: bool, client: Client, added_user: str | None = None) -> Gate:
        """The gate of one call of that ``gate``, and of the user and the address that it comes from. ``has_user``: its key is
        bound to one, who is counted already; ``added_user``: the call's attribution names one."""
        rules = self._rules
        user = address = None
        if rules.users and not has_user:
            user = f"user {added_user or self._named_user(client)!r} of {scope_id}"
        if rules.addresses:
            address = f"address {client_address(client, rules.trusted_proxies, self._proxies)}"
        if user is None and address is None:
            return gate
        names = self._meters.names
        if names.generation != self._generation or len(self._gates) >= MAX_GATES:
            self._gates.clear()
            self._generation = names.generation
        found = self._gates.get((gate, user, address))
        if found is None:
            found = self._made(gate, user, address, names)
            self._gates[gate, user, address] = found
        return found

    def refuse_unknown(self, refused: Refused, client: Client, now_s: int) -> Refused:
        """Counts a call without a known key for the address that it comes from; how it is refused, which is by the limit
        where that has too many."""
        if not self._rules.addresses or refused.reason not in UNKNOWN:
            return refused
        passed = self.gate_of(NO_GATE, "", True, client).enter(0, now_s)
        return refusal(passed, self._rules.shown) if isinstance(passed, Exceeded) else refused

    def _made(self, gate: Gate, user: str | None, address: str | None, names: NamedMemory) -> Gate:
        meters = gate.meters
        if user is not None:
            meters += (Meter(user, self._part(self._rules.users.each), names),)
        if address is not None:
            meters += (Meter(address, self._part(self._rules.addresses), names),)
        return self._meters.gate(meters, self._rules.shown)

    def _named_user(self, client: Client) -> str:
        """The user that a header names, within the key; a call that names none is its key's own."""
        for name in self._rules.user_headers:
            said = client.headers.get(name)
            if said:
                return said[:NAME_MAX_BYTES].decode("latin-1")
        return ""

    def _of(self, scope: str, quotas: Quotas) -> tuple[Meter, ...]:
        return self._meters.of(scope, self._part(quotas))

    def _part(self, quotas: Quotas) -> Quotas:
        """What this host may use of it; with a store all is counted there, and divided only while that is away."""
        return quotas if self._rules.store is not None else divided(quotas, self._rules.nodes)
