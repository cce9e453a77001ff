"""Which limits hold for whom: what the policy file says of keys, users, teams, models, targets, addresses and everybody."""

from collections.abc import Mapping

from msgspec import Struct

from keeptrusts.core.limits.quotas import UNLIMITED_QUOTAS, Quotas


class Scoped(Struct, frozen=True):
    """What holds for each scope of one kind, and for those that are named instead."""

    each: Quotas = UNLIMITED_QUOTAS
    named: Mapping[str, Quotas] = {}

    def of(self, name: str) -> Quotas:
        """What holds for this one."""
        return self.named.get(name, self.each)

    def __bool__(self) -> bool:
        return bool(self.each) or any(self.named.values())


class StoreAddress(Struct, frozen=True):
    """A Redis or Valkey that counts for several hosts. Exactly one of ``url`` and ``url_env`` (the variable that holds
    it) is given; ``secret_env`` holds the password, where the address does not."""

    url: str | None = None
    url_env: str | None = None
    secret_env: str | None = None
    timeout_ms: int = 50


class LimitRules(Struct, frozen=True):
    """``keys_of_no_group`` hold beside ``keys``. ``user_headers`` (lower case) name the user where the key binds none.
    ``trusted_proxies``: how many proxies in front add to ``x-forwarded-for``; ``proxies``: where they are, if that is 0. ``shown``: answers say what is left.
    ``nodes``: how many hosts divide the limits when no store counts for them."""

    keys: Scoped = Scoped()
    keys_of_no_group: Quotas = UNLIMITED_QUOTAS
    users: Scoped = Scoped()
    teams: Scoped = Scoped()
    models: Scoped = Scoped()
    targets: Scoped = Scoped()
    everybody: Quotas = UNLIMITED_QUOTAS
    addresses: Quotas = UNLIMITED_QUOTAS
    user_headers: tuple[bytes, ...] = (b"x-user-id",)
    trusted_proxies: int = 0
    proxies: tuple[str, ...] = ()
    shown: bool = True
    nodes: int = 1
    store: StoreAddress | None = None
