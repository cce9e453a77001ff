"""The targets that a gateway can call, kept from one edition of the rules to the next with their connections."""

from collections.abc import Mapping
from weakref import WeakSet

from msgspec.structs import replace

from keeptrusts.core.routing.target import Target
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.health_checks import HealthChecks
from keeptrusts.gateway.policy_services import Services
from keeptrusts.gateway.targets import ReadyTarget, ready_targets, usable_targets

NOT_OF_THE_WAY = frozenset({"model", "price", "priority", "residency", "weight", "max_price", "health_check"})
"""What a target says of calls, not of how it is reached: a change here is none for its connections."""


class TargetShelf:
    """``ready`` holds each usable target of the latest rules by its id.

    A target that is changed or gone is retired: calls that still have it go on, and its connections end with them.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._made: dict[str, tuple[Target, ReadyTarget]] = {}
        self._retired: WeakSet[ReadyTarget] = WeakSet()
        self._checks = HealthChecks(environment)
        self.ready: Mapping[str, ReadyTarget] = {}
        self.services = Services()
        """Those of the users' own that judge calls: they are reached as targets are."""

    def put(self, rulebook: Rulebook) -> None:
        """These are the targets from now on, and the rules of routing. What is known of a target that is kept, is kept."""
        usable = usable_targets(rulebook.targets, self._environment)
        fresh = tuple(target for target in usable if not self._is_kept(target))
        made = ready_targets(fresh, self._environment, rulebook.routing)
        before = self._made
        self._made = {
            target.id: (target, made[target.id] if target.id in made else before[target.id][1]) for target in usable
        }
        self.ready = {name: ready for name, (_, ready) in self._made.items()}
        for ready in self.ready.values():
            ready.state.follow(rulebook.routing)
        self._checks.follow((target, ready.state) for target, ready in self._made.values())
        for name, (_, ready) in before.items():
            if self.ready.get(name) is not ready:
                self._retired.add(ready)
                ready.retire()

    def close(self) -> None:
        """Lets go of all connections."""
        self._checks.close()
        for ready in [*self.ready.values(), *self._retired]:
            ready.close()
        self.services.close()

    def _is_kept(self, target: Target) -> bool:
        known = self._made.get(target.id)
        return known is not None and _way(known[0]) == _way(target)


def _way(target: Target) -> Target:
    return replace(target, **dict.fromkeys(NOT_OF_THE_WAY, None))
