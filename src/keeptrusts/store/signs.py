"""SQL of signs of life on a store that several API processes share, by the store's own clock: theirs may differ."""

from collections.abc import Mapping, Sequence

import msgspec

from keeptrusts.store.contracts import DEFAULT_ORG, Connection

NOW_MS = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"

decode = msgspec.json.Decoder(dict[str, int]).decode


class SqlSigns:
    """Signs of life of the nodes of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def note(self, held_nanos: Mapping[str, Mapping[str, int]]) -> None:
        """These nodes were just heard of; what their live calls hold, by node."""
        await self._sql.executemany(
            f"UPDATE node SET seen_at_ms = {NOW_MS}, held = $3 WHERE org_id = $1 AND node_id = $2",
            [(self._org, node, msgspec.json.encode(held).decode()) for node, held in sorted(held_nanos.items())],
        )

    async def of_others(self, own: Sequence[str], within_ms: int) -> dict[str, tuple[float, dict[str, int]]]:
        """Every other node that was heard of lately: how many seconds ago, and what its live calls hold."""
        rows = await self._sql.fetch(
            f"""
            SELECT node_id, {NOW_MS} - seen_at_ms, held FROM node
            WHERE org_id = $1 AND seen_at_ms > {NOW_MS} - CAST($2 AS BIGINT)""",
            self._org,
            within_ms,
        )
        return {node: (age_ms / 1_000, decode(held)) for node, age_ms, held in rows if node not in own}
