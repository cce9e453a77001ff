"""What gateway nodes ask of the control plane: to be known, what they need to know, and what has changed since."""

import msgspec

from keeptrusts.control.context import Actor, Control, NodeTerms
from keeptrusts.control.denial import invalid, not_found
from keeptrusts.control.neighbours import listen
from keeptrusts.control.recovery import hear
from keeptrusts.control.token_shapes import key_record
from keeptrusts.control.wallets import tell_nodes
from keeptrusts.core.identity.gateway_key import issue_key, key_digest
from keeptrusts.core.ledger.recovery import Said
from keeptrusts.core.ledger.standing import Cap, strictest
from keeptrusts.core.ledger.wallet import FURTHER, Wallet
from keeptrusts.core.link import Changes, Heartbeat, Registered, Registration, Snapshot, WalletChange
from keeptrusts.store.books import Books
from keeptrusts.store.contracts import Change

NODE_PREFIX = "kt_nk_"
SECRET_BYTES = 32
HEARTBEAT_WAIT_S = 1.0
CHANGES_PER_HEARTBEAT = 1_000
MAX_NODE_ID = 100


async def register(control: Control, registration: Registration) -> Registered:
    """Makes a node known, with its groups and spend controls, and gives it a token of its own.

    A node that is known already only gets a fresh token: the one before is no use from then on.
    """
    if not 0 < len(registration.node_id) <= MAX_NODE_ID:
        raise invalid(f"node_id must have 1 to {MAX_NODE_ID} characters")
    token = issue_key(NODE_PREFIX, control.tools.draw(SECRET_BYTES))
    digest = key_digest(control.pepper, token)
    async with control.store.write() as books:
        known = await books.nodes.find(registration.node_id)
        if known is not None:
            await books.nodes.set_token(registration.node_id, digest)
        if known is not None and not known.version:
            # A rebuilding knew no more of it than its id.
            await books.nodes.describe(registration)
            control.registrations.pop(registration.node_id, None)
        elif known is None:
            await books.nodes.add(registration, digest, control.tools.now_ms())
        if known is None or not known.version:
            await books.groups.put_all(registration.node_id, registration.groups)
            await _put_controls(control, books, registration)
    return Registered(token, control.pepper.hex())


async def introduce(control: Control, registration: Registration) -> None:
    """The rules of a known node have changed: what it says now takes the place of what it said before."""
    async with control.store.write() as books:
        before = await books.nodes.find(registration.node_id)
        if before is None:
            raise not_found(f"node {registration.node_id} is not registered")
        await books.nodes.describe(registration)
        await books.groups.put_all(registration.node_id, registration.groups)
        if set(before.spend_controls) != set(registration.spend_controls):
            await books.wallets.drop_caps(registration.node_id)
            await _put_controls(control, books, registration)
            changed = set(before.spend_controls) ^ set(registration.spend_controls)
            for team_id in sorted({rule.team_id for rule in changed}):
                # What was leased under the old cap comes back, and is asked for again under the new one.
                if (wallet := await books.wallets.find("team", team_id)) is not None:
                    await tell_nodes(books, wallet, recall=True)
    control.registrations.pop(registration.node_id, None)


async def _put_controls(control: Control, books: Books, registration: Registration) -> None:
    """Spend controls stand beside wallets: a team that has none yet gets one without a budget."""
    for team_id in sorted({rule.team_id for rule in registration.spend_controls}):
        rules = [rule for rule in registration.spend_controls if rule.team_id == team_id]
        wallet = await books.wallets.find("team", team_id)
        if wallet is None:
            wallet = Wallet(control.tools.new_id("wal"), "team", team_id)
            await books.wallets.add(wallet, control.tools.now_ms())
        caps = strictest(
            Cap(rule.period, rule.hard_cap_nanos, rule.soft_cap_nanos, rule.on_hard_cap == "escalate") for rule in rules
        )
        for cap in caps.values():
            await books.wallets.add_cap(wallet.wallet_id, registration.node_id, cap)


async def node_of_token(control: Control, token: str) -> Actor | None:
    """The node that this token belongs to."""
    async with control.store.read() as books:
        node_id = await books.nodes.by_digest(key_digest(control.pepper, token))
    return None if node_id is None else Actor("node", node_id)


async def registration_of(control: Control, node_id: str) -> Registration:
    """What the node said of itself. Raises Denial when nobody knows it."""
    known = control.registrations.get(node_id)
    if known is None:
        async with control.store.read() as books:
            known = await books.nodes.find(node_id)
        if known is None:
            raise not_found(f"node {node_id} is not registered")
        control.registrations[node_id] = known
    return known


async def terms_of(control: Control, node_id: str) -> NodeTerms:
    """What the node's registration means for money, now."""
    known = await registration_of(control, node_id)
    alive = control.presence.alive(control.tools.clock.monotonic_s())
    return NodeTerms(node_id, known.wallet_enforcement, known.thresholds, alive)


async def snapshot(control: Control, node_id: str) -> Snapshot:
    """All gateway keys, and the prices in force of the node's providers, as of one moment."""
    providers = (await registration_of(control, node_id)).providers
    now_ms = control.tools.now_ms()
    async with control.store.read() as books:
        seq = await books.changes.last_seq()
        keys = [key_record(row) for row in await books.tokens.of_type("gateway")]
        prices = await books.prices.in_force(now_ms, providers)
        budgeted = sorted(wallet.name for wallet in await books.wallets.every() if wallet.scope in FURTHER)
    return Snapshot(seq, tuple(keys), tuple(prices), tuple(budgeted))


async def heartbeat(control: Control, node_id: str, beat: Heartbeat) -> Changes:
    """Notes that the node lives, waits until there is news (a second at most), and tells it. A store that knows of less than
    the node enters recovery mode."""
    control.presence.heard(node_id, control.tools.clock.monotonic_s(), beat.held_nanos)
    if beat.seen_seq > control.bell.last_seq:
        await listen(control)  # it may have heard of it from another API process
    lost_changes = beat.seen_seq > control.bell.last_seq
    said = Said(beat.journal_seq, beat.shipped_seq, beat.grants_noted)
    recovering = await hear(control, node_id, said, lost_changes) is not None
    # A store that is younger than what the node saw was restored or made anew.
    changes = Changes(control.bell.last_seq, resync=True) if lost_changes else await _news(control, node_id, beat)
    return msgspec.structs.replace(changes, recovering=recovering)


async def _news(control: Control, node_id: str, beat: Heartbeat) -> Changes:
    await control.bell.beyond(beat.seen_seq, HEARTBEAT_WAIT_S)
    if control.bell.last_seq <= beat.seen_seq:
        return Changes(beat.seen_seq)
    providers = (await registration_of(control, node_id)).providers
    async with control.store.read() as books:
        if await books.changes.first_seq() > beat.seen_seq + 1:
            return Changes(await books.changes.last_seq(), resync=True)
        news = await books.changes.after(beat.seen_seq, CHANGES_PER_HEARTBEAT)
        return await _told(books, news, node_id, providers, control.tools.now_ms(), beat.seen_seq)


async def _told(
    books: Books, news: list[Change], node_id: str, providers: tuple[str, ...], now_ms: int, seen_seq: int
) -> Changes:
    """The changes as the node needs them: each key and price once, as it stands now."""
    keys, prices = [], []
    wallets: dict[str, WalletChange] = {}
    for subject in dict.fromkeys(change.subject_id for change in news if change.kind == "key"):
        row = await books.tokens.find(subject)
        if row is not None:
            keys.append(key_record(row))
    for subject in dict.fromkeys(change.subject_id for change in news if change.kind == "price"):
        provider, model = msgspec.json.decode(subject, type=tuple[str, str])
        price = await books.prices.of_model(provider, model, now_ms) if provider in providers else None
        if price is not None:
            prices.append(price)
    for change in news:
        if change.kind == "wallet" and change.except_node_id != node_id:
            recall = change.recall or (change.subject_id in wallets and wallets[change.subject_id].recall)
            wallet = await books.wallets.by_id(change.subject_id)
            if wallet is not None:
                wallets[change.subject_id] = WalletChange(wallet.wallet_id, wallet.name, change.version, recall)
    decided = tuple(dict.fromkeys(change.subject_id for change in news if change.kind == "ticket"))
    retired = any(change.kind == "node" and change.subject_id == node_id for change in news)
    last_seq = news[-1].seq if news else seen_seq
    return Changes(last_seq, tuple(keys), tuple(prices), tuple(wallets.values()), decided, retired=retired)
