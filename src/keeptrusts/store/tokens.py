"""SQL of issued tokens: gateway keys and access keys, stored as keyed hashes only."""

from collections.abc import Collection

from msgspec import Struct

from keeptrusts.clock import NANOS_PER_MS
from keeptrusts.core.identity.gateway_key import KeyStatus, SuspendedReason
from keeptrusts.store.contracts import DEFAULT_ORG, Connection

IDS_CHUNK = 500


class TokenRow(Struct, frozen=True):
    """A token as stored, in the order of the columns. ``attribution`` and the ``allowed_`` ones are JSON texts.

    ``old_digest`` is the secret before the last rotation. ``left_nanos`` is what the tightest budget had left when the key was
    suspended for want of money.
    """

    token_id: str
    token_type: str
    digest: str
    hint: str
    name: str
    description: str | None
    status: KeyStatus
    key_class: str | None
    role: str | None
    rate_limit: int | None
    allowed_models: str | None
    consumer_group: str | None
    attribution: str
    team_id: str | None
    created_at_ms: int
    expires_at_ms: int | None
    last_used_at_ms: int | None
    allowed_dimensions: str = "{}"
    allowed_ips: str = "[]"
    old_digest: str | None = None
    old_until_ms: int | None = None
    rotated_at_ms: int | None = None
    on_exhausted: str = "refuse"
    suspended_reason: SuspendedReason | None = None
    left_nanos: int | None = None


COLUMNS = (
    "token_id, token_type, digest, hint, name, description, status, class, role, rate_limit, allowed_models, "
    "consumer_group, attribution, team_id, created_at_ms, expires_at_ms, last_used_at_ms, "
    "allowed_dimensions, allowed_ips, old_digest, old_until_ms, rotated_at_ms, on_exhausted, suspended_reason, left_nanos"
)
FIXED = frozenset({"token_id", "token_type", "created_at_ms", "last_used_at_ms"})
SELECT = f"SELECT {COLUMNS} FROM token"


class SqlTokens:
    """Tokens of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def find(self, token_id: str) -> TokenRow | None:
        """The token of this id."""
        rows = await self._sql.fetch(f"{SELECT} WHERE org_id = $1 AND token_id = $2", self._org, token_id)
        return TokenRow(*rows[0]) if rows else None

    async def kept(self, token_id: str) -> TokenRow | None:
        """The token of this id, kept from other writers: whoever changes it begins here."""
        rows = await self._sql.fetch(
            f"{SELECT} WHERE org_id = $1 AND token_id = $2{self._sql.for_update}", self._org, token_id
        )
        return TokenRow(*rows[0]) if rows else None

    async def by_digest(self, digest: str, now_ms: int) -> TokenRow | None:
        """The token whose keyed hash this is, or was until a rotation whose overlap has not ended."""
        rows = await self._sql.fetch(
            f"{SELECT} WHERE org_id = $1 AND (digest = $2 OR (old_digest = $2 AND old_until_ms > $3))",
            self._org,
            digest,
            now_ms,
        )
        return TokenRow(*rows[0]) if rows else None

    async def short(self, limit: int) -> list[str]:
        """The keys that are to be suspended when their budget is used up, and of which a call was refused for want of money."""
        rows = await self._sql.fetch(
            """
            SELECT token_id FROM token WHERE org_id = $1 AND short_at_ms > 0 AND status IN ('provisioned', 'active')
            ORDER BY token_id LIMIT $2""",
            self._org,
            limit,
        )
        return [row[0] for row in rows]

    async def exhausted(self, after_id: str, limit: int) -> list[TokenRow]:
        """The keys that their budget has suspended, by id."""
        rows = await self._sql.fetch(
            f"{SELECT} WHERE org_id = $1 AND suspended_reason = 'budget_exhausted' AND token_id > $2 "
            "ORDER BY token_id LIMIT $3",
            self._org,
            after_id,
            limit,
        )
        return [TokenRow(*row) for row in rows]

    async def of_type(self, token_type: str) -> list[TokenRow]:
        """Every token of a type, oldest first."""
        rows = await self._sql.fetch(
            f"{SELECT} WHERE org_id = $1 AND token_type = $2 ORDER BY token_id", self._org, token_type
        )
        return [TokenRow(*row) for row in rows]

    async def names(self, token_ids: Collection[str]) -> dict[str, str]:
        """The names of these tokens by id."""
        asked = sorted(token_ids)
        names: dict[str, str] = {}
        for start in range(0, len(asked), IDS_CHUNK):
            chunk = asked[start : start + IDS_CHUNK]
            places = ", ".join(f"${place}" for place in range(2, len(chunk) + 2))
            rows = await self._sql.fetch(
                f"SELECT token_id, name FROM token WHERE org_id = $1 AND token_id IN ({places})", self._org, *chunk
            )
            names.update(rows)
        return names

    async def ids_called(self, asked: str) -> list[str]:
        """The tokens that have this name or this hint."""
        rows = await self._sql.fetch(
            "SELECT token_id FROM token WHERE org_id = $1 AND (name = $2 OR hint = $2) ORDER BY token_id",
            self._org,
            asked,
        )
        return [row[0] for row in rows]

    async def newest(
        self, token_type: str | None, status: str | None, team_id: str | None, now_ms: int, before_id: str, limit: int
    ) -> list[TokenRow]:
        """The newest first, with ids below ``before_id``; ``status`` ``expired`` means past its end and not revoked."""
        where, args = ["org_id = $1", "token_id < $2"], [self._org, before_id]
        for column, value in (("token_type", token_type), ("team_id", team_id)):
            if value is not None:
                args.append(value)
                where.append(f"{column} = ${len(args)}")
        rest: list[int | str] = [*args, now_ms]
        expired = f"(status <> 'revoked' AND expires_at_ms IS NOT NULL AND expires_at_ms <= ${len(rest)})"
        if status == "expired":
            where.append(expired)
        elif status is not None:
            rest.append(status)
            where.append(f"status = ${len(rest)} AND NOT {expired}")
        else:
            where.append(f"CAST(${len(rest)} AS BIGINT) >= 0")
        rest.append(limit)
        rows = await self._sql.fetch(
            f"{SELECT} WHERE {' AND '.join(where)} ORDER BY token_id DESC LIMIT ${len(rest)}", *rest
        )
        return [TokenRow(*row) for row in rows]

    async def add(self, row: TokenRow) -> None:
        """A new token."""
        places = ", ".join(f"${place}" for place in range(2, 2 + len(TokenRow.__struct_fields__)))
        await self._sql.execute(
            f"INSERT INTO token (org_id, {COLUMNS}) VALUES ($1, {places})",
            self._org,
            *(getattr(row, name) for name in TokenRow.__struct_fields__),
        )

    async def update(self, row: TokenRow) -> None:
        """Writes what may change: all but the type and the times of making and use."""
        fields = [name for name in TokenRow.__struct_fields__ if name not in FIXED]
        names = ["class" if name == "key_class" else name for name in fields]
        places = ", ".join(f"{name} = ${place}" for place, name in enumerate(names, 3))
        await self._sql.execute(
            f"UPDATE token SET {places} WHERE org_id = $1 AND token_id = $2",
            self._org,
            row.token_id,
            *(getattr(row, name) for name in fields),
        )

    async def mark_used(self, at_ns_by_key: dict[str, int]) -> None:
        """See contracts.KeyUse."""
        await self._sql.executemany(
            """
            UPDATE token SET status = CASE WHEN status = 'provisioned' THEN 'active' ELSE status END, last_used_at_ms = $3
            WHERE org_id = $1 AND token_id = $2 AND COALESCE(last_used_at_ms, -1) < $3""",
            [(self._org, token_id, at_ns // NANOS_PER_MS) for token_id, at_ns in sorted(at_ns_by_key.items())],
        )

    async def mark_short(self, at_ns_by_key: dict[str, int]) -> None:
        """See contracts.KeyUse."""
        await self._sql.executemany(
            "UPDATE token SET short_at_ms = $3 WHERE org_id = $1 AND token_id = $2 AND on_exhausted = 'suspend'",
            [(self._org, token_id, at_ns // NANOS_PER_MS) for token_id, at_ns in sorted(at_ns_by_key.items())],
        )

    async def forget_short(self, token_id: str) -> None:
        """The last refusal for want of money was looked into."""
        await self._sql.execute(
            "UPDATE token SET short_at_ms = 0 WHERE org_id = $1 AND token_id = $2", self._org, token_id
        )
