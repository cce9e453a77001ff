"""What a node and the control plane say to each other: a few exchanges, as values. The wire form is JSON of these structs.

``POST /v1/gateway/register`` Registration -> Registered; ``POST /v1/gateway/introduction`` Registration -> Registration, when
the rules of a known node have changed; ``GET /v1/gateway/snapshot`` -> Snapshot;
``POST /v1/gateway/heartbeat`` Heartbeat -> Changes (held open until something changed, one second at most);
``POST /v1/gateway/leases`` GrantRequest -> GrantAnswer; ``POST /v1/gateway/tickets`` TicketRequest -> TicketAnswer and
``POST /v1/gateway/tickets/leave`` TicketLeft -> TicketLeft (``core/ledger/ticket.py``); ``POST /v1/gateway/escalations``
EscalationRequest -> TicketAnswer, for policies; ``POST /v1/gateway/batches`` journal groups as bytes, with the
headers ``x-journal-first-seq`` and ``x-journal-previous-chain`` (hex) -> Shipped.
"""

from msgspec import Struct

from keeptrusts.core.identity.gateway_key import KeyRecord
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.periods import PeriodKind
from keeptrusts.core.pricing.price import Price


class RegisteredGroup(Struct, frozen=True):
    """A consumer group of the node's policy file, so that the control plane can name teams and show utilisation."""

    name: str
    team_id: str | None
    limits: LimitSet


class RegisteredControl(Struct, frozen=True):
    """A spend control of the node's policy file. Amounts in nano-USD."""

    team_id: str
    period: PeriodKind
    hard_cap_nanos: int
    soft_cap_nanos: int | None
    on_hard_cap: str


class Registration(Struct, frozen=True):
    """A node introduces itself, with an owner's or admin's token; from then on it uses the node token it gets.

    ``config_fingerprint`` tells its rules from others; ``config_version`` is that of a managed gateway's configuration.
    ``providers`` are those it has targets for: the snapshot holds only their prices. Registering a known ``node_id``
    again (a recovery of its journal) gives it a fresh token and changes nothing else.
    """

    node_id: str
    hostname: str
    version: str
    providers: tuple[str, ...]
    wallet_enforcement: bool
    thresholds: tuple[Threshold, ...]
    groups: tuple[RegisteredGroup, ...]
    spend_controls: tuple[RegisteredControl, ...]
    config_fingerprint: str = ""
    config_version: int | None = None


class Registered(Struct, frozen=True):
    """``key_pepper`` (hex) keys the hash under which API-issued gateway keys are looked up."""

    node_token: str
    key_pepper: str


class Snapshot(Struct, frozen=True):
    """All keys and the prices of the node's providers, as of change number ``seq``.

    ``budgeted`` names the projects, keys, users and features that have a wallet of their own (``project:search``).
    """

    seq: int
    keys: tuple[KeyRecord, ...]
    prices: tuple[Price, ...]
    budgeted: tuple[str, ...] = ()


class Heartbeat(Struct, frozen=True):
    """``seen_seq`` is the last change the node has applied; ``held_nanos`` its live holds by wallet id.

    ``journal_seq`` is the last record of its journal, ``shipped_seq`` the last that the store took, ``grants_noted`` how many
    grants it has had: a store that knows of less was restored to an older state.
    """

    seen_seq: int
    held_nanos: dict[str, int]
    journal_seq: int = 0
    shipped_seq: int = 0
    grants_noted: int = 0


class WalletChange(Struct, frozen=True):
    """A wallet changed. ``name`` is its scope and id (``team:team_a``). ``recall`` asks the node to return what it does not
    need of every lease that debits the wallet, and to lease anew."""

    wallet_id: str
    name: str
    version: int
    recall: bool


class Changes(Struct, frozen=True):
    """What changed since ``seen_seq``; ``tickets`` are those that were decided. ``resync`` says that the node must take a new
    snapshot instead; ``recovering``, that the store has lost something and must be brought everything that is on disk;
    ``retired``, that the node was given up for lost and must end."""

    seq: int
    keys: tuple[KeyRecord, ...] = ()
    prices: tuple[Price, ...] = ()
    wallets: tuple[WalletChange, ...] = ()
    tickets: tuple[str, ...] = ()
    resync: bool = False
    recovering: bool = False
    retired: bool = False


class Lost(Struct, frozen=True):
    """A part of the node's journal is lost, says whoever holds its lock; ``why`` is for people. Nobody can prove what its
    leases paid for there: they go to suspense."""

    why: str


class Shipped(Struct, frozen=True):
    """Every record of the journal up to and including ``last_seq`` is applied, once."""

    last_seq: int
