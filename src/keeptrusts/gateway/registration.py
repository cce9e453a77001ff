"""How a node introduces itself to the control plane: who it is, and the rules that the control plane must know of."""

import socket

from keeptrusts import __version__
from keeptrusts.core.link import RegisteredControl, RegisteredGroup, Registration
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.observed import fingerprint


def registration_of(node_id: str, rulebook: Rulebook, config_version: int | None) -> Registration:
    """The registration of a node that goes by these rules; ``config_version`` is a managed gateway's."""
    return Registration(
        node_id=node_id,
        hostname=socket.gethostname(),
        version=__version__,
        providers=tuple(sorted({target.provider for target in rulebook.targets} | {"openai"})),
        wallet_enforcement=rulebook.wallet_enforcement,
        thresholds=rulebook.thresholds,
        groups=tuple(
            RegisteredGroup(group.name, group.wallet_team_id or group.name, group.limits) for group in rulebook.groups
        ),
        spend_controls=tuple(
            RegisteredControl(c.team, c.period, c.hard_cap_nanos, c.soft_cap_nanos, c.on_hard_cap)
            for c in rulebook.spend_controls
        ),
        config_fingerprint=fingerprint(rulebook),
        config_version=config_version,
    )
