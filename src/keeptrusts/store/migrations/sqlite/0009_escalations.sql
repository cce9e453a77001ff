-- Calls that a policy leaves to a person wait with a ticket too: without a wallet, perhaps without a team, and without money.
-- policies and found are JSON lists, and NULL for a budget's ticket; used_by is the call that an approval let through.

DROP INDEX cost_ticket_open;
DROP INDEX cost_ticket_retry;
ALTER TABLE cost_ticket RENAME TO cost_ticket_before;

CREATE TABLE cost_ticket (
    org_id TEXT NOT NULL,
    ticket_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('waiting', 'open', 'approved', 'denied', 'expired', 'funded', 'redeemed')),
    team_id TEXT,
    wallet_id TEXT,
    scopes TEXT NOT NULL,
    key_id TEXT,
    consumer_group TEXT,
    model TEXT NOT NULL,
    call_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    idempotency_digest TEXT,
    node_id TEXT NOT NULL,
    lease_id TEXT,
    hold_nanos INTEGER NOT NULL CHECK (hold_nanos >= 0),
    top_up_nanos INTEGER NOT NULL CHECK (top_up_nanos >= 0),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    decided_at_ms INTEGER,
    actor TEXT,
    note TEXT,
    policies TEXT,
    found TEXT,
    used_by TEXT,
    PRIMARY KEY (org_id, ticket_id),
    CHECK (
        (policies IS NULL) = (found IS NULL)
        AND (policies IS NULL OR (wallet_id IS NULL AND lease_id IS NULL AND hold_nanos = 0 AND top_up_nanos = 0))
        AND (policies IS NOT NULL OR (team_id IS NOT NULL AND wallet_id IS NOT NULL AND used_by IS NULL))
    )
) STRICT;

INSERT INTO cost_ticket
SELECT org_id, ticket_id, status, team_id, wallet_id, scopes, key_id, consumer_group, model, call_id, request_id,
    idempotency_digest, node_id, lease_id, hold_nanos, top_up_nanos, created_at_ms, expires_at_ms, decided_at_ms, actor, note,
    NULL, NULL, NULL
FROM cost_ticket_before;
DROP TABLE cost_ticket_before;

CREATE INDEX cost_ticket_open ON cost_ticket (org_id, status, ticket_id);
CREATE UNIQUE INDEX cost_ticket_retry ON cost_ticket (org_id, idempotency_digest) WHERE idempotency_digest IS NOT NULL;
