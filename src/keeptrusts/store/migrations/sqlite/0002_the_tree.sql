-- The tree of wallets, what carries over, what approvers let through, held calls, suspense by lease, nodes that ended.

-- parent_id: the wallet that this one draws on. state: active, frozen (for now), closed (for good).
-- fallback: 'parent' lets calls go on with the parent's money when this wallet is empty.
ALTER TABLE wallet ADD COLUMN parent_id TEXT;
ALTER TABLE wallet ADD COLUMN state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'frozen', 'closed'));
ALTER TABLE wallet ADD COLUMN overcommit INTEGER NOT NULL DEFAULT 0 CHECK (overcommit IN (0, 1));
ALTER TABLE wallet ADD COLUMN carry_over INTEGER NOT NULL DEFAULT 0 CHECK (carry_over IN (0, 1));
ALTER TABLE wallet ADD COLUMN fallback TEXT NOT NULL DEFAULT 'none' CHECK (fallback IN ('none', 'parent'));
ALTER TABLE wallet ADD COLUMN on_hard_cap TEXT NOT NULL DEFAULT 'block' CHECK (on_hard_cap IN ('block', 'escalate'));
ALTER TABLE wallet ADD COLUMN fiscal_month INTEGER NOT NULL DEFAULT 1 CHECK (fiscal_month BETWEEN 1 AND 12);

CREATE INDEX wallet_parent ON wallet (org_id, parent_id) WHERE parent_id IS NOT NULL;

-- carried: what came over from the period before; carried_out: what went over to the next; approved: what people let through
-- above budget and caps.
ALTER TABLE wallet_period ADD COLUMN carried_nanos INTEGER NOT NULL DEFAULT 0 CHECK (carried_nanos >= 0);
ALTER TABLE wallet_period ADD COLUMN carried_out_nanos INTEGER NOT NULL DEFAULT 0 CHECK (carried_out_nanos >= 0);
ALTER TABLE wallet_period ADD COLUMN approved_nanos INTEGER NOT NULL DEFAULT 0 CHECK (approved_nanos >= 0);

ALTER TABLE spend_control ADD COLUMN on_hard_cap TEXT NOT NULL DEFAULT 'block' CHECK (on_hard_cap IN ('block', 'escalate'));

-- A lease that pays for one approved call alone names its ticket: what it does not use is not approved any more.
-- suspended: what of it went to suspense; resolved: how much of that people have accounted for.
ALTER TABLE lease ADD COLUMN ticket_id TEXT;
ALTER TABLE lease ADD COLUMN suspended_nanos INTEGER NOT NULL DEFAULT 0 CHECK (suspended_nanos >= 0);
ALTER TABLE lease ADD COLUMN resolved_nanos INTEGER NOT NULL DEFAULT 0 CHECK (resolved_nanos >= 0 AND resolved_nanos <= suspended_nanos);

CREATE INDEX lease_suspended ON lease (org_id, lease_id) WHERE suspended_nanos > resolved_nanos;
CREATE INDEX lease_of_node ON lease (org_id, node_id) WHERE closed = 0;
CREATE INDEX lease_line_wallet ON lease_line (org_id, wallet_id);

-- state: live until the last record of its journal is applied (ended), or a person retired it.
ALTER TABLE node ADD COLUMN state TEXT NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'ended', 'retired'));
ALTER TABLE node ADD COLUMN seen_at_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE node ADD COLUMN held TEXT NOT NULL DEFAULT '{}';

-- A call that waits for money or for a person. scopes: the budgets that it spends from, as a JSON list of 'scope:id'.
CREATE TABLE cost_ticket (
    org_id TEXT NOT NULL,
    ticket_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('waiting', 'open', 'approved', 'denied', 'expired', 'funded', 'redeemed')),
    team_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
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
    PRIMARY KEY (org_id, ticket_id)
) STRICT;

CREATE INDEX cost_ticket_open ON cost_ticket (org_id, status, ticket_id);
CREATE UNIQUE INDEX cost_ticket_retry ON cost_ticket (org_id, idempotency_digest) WHERE idempotency_digest IS NOT NULL;

-- What an operator's request with an Idempotency-Key was answered, so that asking again changes nothing.
CREATE TABLE idempotency (
    org_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    key_digest TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    answer TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, actor, key_digest)
) STRICT;

CREATE INDEX idempotency_at ON idempotency (org_id, at_ms);
