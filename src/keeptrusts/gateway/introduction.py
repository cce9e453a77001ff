"""What a node tells a control plane that knows it already, when its rules have changed."""

import logging
from collections.abc import Sequence

from keeptrusts.core.link import Registration
from keeptrusts.core.pricing.price import Price
from keeptrusts.gateway.link import Link, LinkDown, LinkRefused

log = logging.getLogger("keeptrusts::gateway")


class Introducer:
    """``link`` None: there is nobody to tell."""

    def __init__(self, link: Link | None) -> None:
        self._link = link
        self._untold: Registration | None = None

    async def tell(self, said: Registration, new: Registration) -> Sequence[Price]:
        """Before calls go by the rules; returns the prices of providers that were not spoken of before. What can't be told now
        is told later."""
        if self._link is None or said == new:
            return ()
        self._untold = new
        added = set(new.providers) - set(said.providers)
        try:
            await self._link.introduce(new)
            self._untold = None
            return [p for p in (await self._link.snapshot()).prices if p.provider in added] if added else ()
        except (LinkDown, LinkRefused) as error:
            log.warning("The control plane does not know of the new rules yet: %s", error)
            return ()

    async def tell_late(self) -> bool:
        """Tells what could not be told before, if anything; True when it was taken. Raises LinkDown."""
        new = self._untold
        if new is None or self._link is None:
            return False
        try:
            await self._link.introduce(new)
        except LinkRefused as error:
            log.error("The control plane does not take this gateway's new rules before it starts again: %s", error)
        if self._untold is new:
            self._untold = None
        return True
