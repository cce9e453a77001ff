"""Stopping a wallet: frozen for now, closed for good. Gateways stop spending from it, and from all below it, within a second."""

from collections.abc import Mapping

import msgspec

from keeptrusts.control.audit import note
from keeptrusts.control.balances import wallet_named
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import conflict
from keeptrusts.control.wallets import tell_nodes
from keeptrusts.core.ledger.wallet import Wallet, WalletState

VERBS: Mapping[WalletState, str] = {"active": "wallet.unfreeze", "frozen": "wallet.freeze", "closed": "wallet.close"}


async def set_state(control: Control, actor: Actor, named: str, state: WalletState) -> Wallet:
    """Freezes, unfreezes or closes the wallet; doing so again changes nothing. Raises Denial for one that is closed, and for
    closing one that others still draw on."""
    async with control.store.write() as books:
        wallet = await wallet_named(books, named)
        if wallet.state == state:
            return wallet
        if wallet.state == "closed":
            raise conflict(f"wallet {wallet.wallet_id} ({wallet.name}) is closed: that is for good", "wallet_closed")
        if state == "closed":
            open_children = [c.name for c in await books.wallets.children(wallet.wallet_id) if c.state != "closed"]
            if open_children:
                raise conflict(f"{', '.join(open_children)} still draw on {wallet.name}: close them or move them first")
        after = msgspec.structs.replace(wallet, state=state)
        await books.wallets.update(after)
        await tell_nodes(books, after, recall=state != "active")
        await note(
            books, control.tools, actor, VERBS[state], wallet.wallet_id, {"state": wallet.state}, {"state": state}
        )
        return after
