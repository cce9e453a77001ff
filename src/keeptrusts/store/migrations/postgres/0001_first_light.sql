-- The schema on PostgreSQL: what SQLite's 0001 and 0002 make together. Later files have the same numbers on both engines.
-- Amounts are nano-USD, rates pico-USD per token. The organization comes first in every key, so that it can be sharded.
-- Texts sort by their bytes, as they do in our code and on SQLite, whatever the database's language is. Flags are 0 or 1.

-- parent_id: the wallet that this one draws on. state: active, frozen (for now), closed (for good).
-- fallback: 'parent' lets calls go on with the parent's money when this wallet is empty.
CREATE TABLE wallet (
    org_id TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    scope_id TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    zone TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 0),
    short_at_ms BIGINT NOT NULL,
    recalled_at_ms BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    parent_id TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'frozen', 'closed')),
    overcommit BIGINT NOT NULL DEFAULT 0 CHECK (overcommit IN (0, 1)),
    carry_over BIGINT NOT NULL DEFAULT 0 CHECK (carry_over IN (0, 1)),
    fallback TEXT COLLATE "C" NOT NULL DEFAULT 'none' CHECK (fallback IN ('none', 'parent')),
    on_hard_cap TEXT COLLATE "C" NOT NULL DEFAULT 'block' CHECK (on_hard_cap IN ('block', 'escalate')),
    fiscal_month BIGINT NOT NULL DEFAULT 1 CHECK (fiscal_month BETWEEN 1 AND 12),
    PRIMARY KEY (org_id, wallet_id),
    UNIQUE (org_id, scope, scope_id)
);

-- What people set for this and later periods. wallet_period rows are made from it when a period is first used.
CREATE TABLE wallet_budget (
    org_id TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    amount_nanos BIGINT NOT NULL CHECK (amount_nanos >= 0),
    PRIMARY KEY (org_id, wallet_id, kind),
    FOREIGN KEY (org_id, wallet_id) REFERENCES wallet (org_id, wallet_id)
);

-- A cap on top of the wallet, from a node's policy file; it holds for as long as that node lives.
CREATE TABLE spend_control (
    org_id TEXT COLLATE "C" NOT NULL,
    node_id TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    hard_cap_nanos BIGINT NOT NULL CHECK (hard_cap_nanos >= 0),
    soft_cap_nanos BIGINT CHECK (soft_cap_nanos >= 0),
    on_hard_cap TEXT COLLATE "C" NOT NULL DEFAULT 'block' CHECK (on_hard_cap IN ('block', 'escalate')),
    PRIMARY KEY (org_id, wallet_id, kind, node_id),
    FOREIGN KEY (org_id, wallet_id) REFERENCES wallet (org_id, wallet_id)
);

-- carried: what came over from the period before; carried_out: what went over to the next; approved: what people let through
-- above budget and caps.
CREATE TABLE wallet_period (
    org_id TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT NOT NULL CHECK (end_ms > start_ms),
    budget_nanos BIGINT NOT NULL CHECK (budget_nanos >= 0),
    posted_nanos BIGINT NOT NULL CHECK (posted_nanos >= 0),
    leased_nanos BIGINT NOT NULL CHECK (leased_nanos >= 0),
    suspense_nanos BIGINT NOT NULL CHECK (suspense_nanos >= 0),
    overrun_nanos BIGINT NOT NULL CHECK (overrun_nanos >= 0),
    unleased_nanos BIGINT NOT NULL CHECK (unleased_nanos >= 0),
    carried_nanos BIGINT NOT NULL DEFAULT 0 CHECK (carried_nanos >= 0),
    carried_out_nanos BIGINT NOT NULL DEFAULT 0 CHECK (carried_out_nanos >= 0),
    approved_nanos BIGINT NOT NULL DEFAULT 0 CHECK (approved_nanos >= 0),
    PRIMARY KEY (org_id, wallet_id, kind, start_ms),
    FOREIGN KEY (org_id, wallet_id) REFERENCES wallet (org_id, wallet_id)
);

-- A lease that pays for one approved call alone names its ticket: what it does not use is not approved any more.
-- suspended: what of it went to suspense; resolved: how much of that people have accounted for.
-- wallet_id is empty for a lease that was closed before the store had heard of it or of its team.
CREATE TABLE lease (
    org_id TEXT COLLATE "C" NOT NULL,
    lease_id TEXT COLLATE "C" NOT NULL,
    node_id TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C" NOT NULL,
    granted_nanos BIGINT NOT NULL CHECK (granted_nanos >= 0),
    settled_nanos BIGINT NOT NULL CHECK (settled_nanos >= 0),
    returned_nanos BIGINT NOT NULL CHECK (returned_nanos >= 0),
    closed BIGINT NOT NULL CHECK (closed IN (0, 1)),
    created_at_ms BIGINT NOT NULL,
    ticket_id TEXT COLLATE "C",
    suspended_nanos BIGINT NOT NULL DEFAULT 0 CHECK (suspended_nanos >= 0),
    resolved_nanos BIGINT NOT NULL DEFAULT 0 CHECK (resolved_nanos >= 0 AND resolved_nanos <= suspended_nanos),
    PRIMARY KEY (org_id, lease_id),
    CHECK (settled_nanos + returned_nanos <= granted_nanos)
);

CREATE INDEX lease_open ON lease (org_id, wallet_id) WHERE closed = 0;

CREATE TABLE lease_line (
    org_id TEXT COLLATE "C" NOT NULL,
    lease_id TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    start_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, lease_id, wallet_id, kind, start_ms),
    FOREIGN KEY (org_id, lease_id) REFERENCES lease (org_id, lease_id),
    FOREIGN KEY (org_id, wallet_id, kind, start_ms) REFERENCES wallet_period (org_id, wallet_id, kind, start_ms)
);

-- Grants that moved money, so that asking again with the same id moves nothing.
CREATE TABLE lease_grant (
    org_id TEXT COLLATE "C" NOT NULL,
    grant_id TEXT COLLATE "C" NOT NULL,
    lease_id TEXT COLLATE "C" NOT NULL,
    granted_nanos BIGINT NOT NULL CHECK (granted_nanos > 0),
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, grant_id),
    FOREIGN KEY (org_id, lease_id) REFERENCES lease (org_id, lease_id)
);

CREATE TABLE journal (
    org_id TEXT COLLATE "C" NOT NULL,
    node_id TEXT COLLATE "C" NOT NULL,
    last_seq BIGINT NOT NULL CHECK (last_seq >= 0),
    chain TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, node_id)
);

CREATE TABLE quarantine (
    org_id TEXT COLLATE "C" NOT NULL,
    node_id TEXT COLLATE "C" NOT NULL,
    journal_seq BIGINT NOT NULL,
    record BYTEA NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, node_id, journal_seq)
);

CREATE TABLE ledger_entry (
    entry_no BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C" NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    amount_nanos BIGINT NOT NULL,
    balance_nanos BIGINT NOT NULL,
    period_key TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C",
    actor TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    at_ns BIGINT NOT NULL
);

CREATE INDEX ledger_entry_wallet ON ledger_entry (org_id, wallet_id, entry_no);

-- The one row per call; budget alerts stand among them as rows of their own type. One partition per month, made ahead; what
-- fits none goes to event_other, so that no row is ever refused. PostgreSQL wants the partition key in every unique key: a
-- call has one instant of reserve, in its journal for good, so that the same call always comes with the same at_ns; a second
-- event of a call under another at_ns is set aside before it gets here, under the lock of its node's journal.
CREATE TABLE event (
    event_no BIGINT NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    at_ns BIGINT NOT NULL,
    node_id TEXT COLLATE "C" NOT NULL,
    journal_seq BIGINT NOT NULL,
    latency_ms BIGINT NOT NULL,
    key_id TEXT COLLATE "C",
    consumer_group TEXT COLLATE "C",
    team_id TEXT COLLATE "C",
    application TEXT COLLATE "C",
    feature TEXT COLLATE "C",
    environment TEXT COLLATE "C",
    project TEXT COLLATE "C",
    customer TEXT COLLATE "C",
    department TEXT COLLATE "C",
    user_id TEXT COLLATE "C",
    provider TEXT COLLATE "C",
    model TEXT COLLATE "C",
    asked_model TEXT COLLATE "C",
    served_model TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C",
    cost_nanos BIGINT,
    input_tokens BIGINT NOT NULL,
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    cache_write_1h_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    usage_source TEXT COLLATE "C" NOT NULL,
    price_version TEXT COLLATE "C",
    unpriced BIGINT NOT NULL CHECK (unpriced IN (0, 1)),
    cache_hit BIGINT NOT NULL CHECK (cache_hit IN (0, 1)),
    saved_nanos BIGINT NOT NULL,
    policy_actions TEXT COLLATE "C" NOT NULL,
    attempts TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    stream BIGINT NOT NULL CHECK (stream IN (0, 1)),
    http_status BIGINT NOT NULL,
    period_key TEXT COLLATE "C",
    details TEXT COLLATE "C",
    PRIMARY KEY (org_id, event_id, at_ns)
) PARTITION BY RANGE (at_ns);

CREATE TABLE event_other PARTITION OF event DEFAULT;

-- Sums go by time, lists by the order of recording.
CREATE INDEX event_at ON event (org_id, at_ns);
CREATE INDEX event_order ON event (org_id, event_no);
CREATE INDEX event_team ON event (org_id, team_id, event_no);
CREATE INDEX event_key ON event (org_id, key_id, event_no) WHERE key_id IS NOT NULL;
CREATE INDEX event_request ON event (org_id, request_id);

CREATE TABLE alert (
    org_id TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    start_ms BIGINT NOT NULL,
    threshold TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    at_ns BIGINT NOT NULL,
    PRIMARY KEY (org_id, wallet_id, kind, start_ms, threshold)
);

CREATE TABLE token (
    org_id TEXT COLLATE "C" NOT NULL,
    token_id TEXT COLLATE "C" NOT NULL,
    token_type TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    hint TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    class TEXT COLLATE "C",
    role TEXT COLLATE "C",
    rate_limit BIGINT,
    allowed_models TEXT COLLATE "C",
    consumer_group TEXT COLLATE "C",
    attribution TEXT COLLATE "C" NOT NULL,
    team_id TEXT COLLATE "C",
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    last_used_at_ms BIGINT,
    PRIMARY KEY (org_id, token_id),
    UNIQUE (digest)
);

CREATE TABLE price (
    price_no BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    price_id TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    catalogue BIGINT NOT NULL CHECK (catalogue IN (0, 1)),
    effective_from_ms BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    UNIQUE (org_id, price_id)
);

CREATE INDEX price_model ON price (org_id, provider, model);

-- state: live until the last record of its journal is applied (ended), or a person retired it.
CREATE TABLE node (
    org_id TEXT COLLATE "C" NOT NULL,
    node_id TEXT COLLATE "C" NOT NULL,
    token_digest TEXT COLLATE "C" NOT NULL,
    registration TEXT COLLATE "C" NOT NULL,
    registered_at_ms BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'ended', 'retired')),
    seen_at_ms BIGINT NOT NULL DEFAULT 0,
    held TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    PRIMARY KEY (org_id, node_id),
    UNIQUE (token_digest)
);

CREATE TABLE consumer_group (
    org_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    node_id TEXT COLLATE "C" NOT NULL,
    team_id TEXT COLLATE "C",
    limits TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, name)
);

-- What nodes must hear, in the order of the commits.
CREATE TABLE change (
    seq BIGINT PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    subject_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    recall BIGINT NOT NULL CHECK (recall IN (0, 1)),
    except_node_id TEXT COLLATE "C"
);

CREATE TABLE audit (
    audit_no BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    at_ns BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject_id TEXT COLLATE "C" NOT NULL,
    before TEXT COLLATE "C",
    after TEXT COLLATE "C"
);

CREATE TABLE meta (
    name TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE INDEX wallet_parent ON wallet (org_id, parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX lease_suspended ON lease (org_id, lease_id) WHERE suspended_nanos > resolved_nanos;
CREATE INDEX lease_of_node ON lease (org_id, node_id) WHERE closed = 0;
CREATE INDEX lease_line_wallet ON lease_line (org_id, wallet_id);

-- A call that waits for money or for a person. scopes: the budgets that it spends from, as a JSON list of 'scope:id'.
CREATE TABLE cost_ticket (
    org_id TEXT COLLATE "C" NOT NULL,
    ticket_id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('waiting', 'open', 'approved', 'denied', 'expired', 'funded', 'redeemed')),
    team_id TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C",
    consumer_group TEXT COLLATE "C",
    model TEXT COLLATE "C" NOT NULL,
    call_id TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    idempotency_digest TEXT COLLATE "C",
    node_id TEXT COLLATE "C" NOT NULL,
    lease_id TEXT COLLATE "C",
    hold_nanos BIGINT NOT NULL CHECK (hold_nanos >= 0),
    top_up_nanos BIGINT NOT NULL CHECK (top_up_nanos >= 0),
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    decided_at_ms BIGINT,
    actor TEXT COLLATE "C",
    note TEXT COLLATE "C",
    PRIMARY KEY (org_id, ticket_id)
);

CREATE INDEX cost_ticket_open ON cost_ticket (org_id, status, ticket_id);
CREATE UNIQUE INDEX cost_ticket_retry ON cost_ticket (org_id, idempotency_digest) WHERE idempotency_digest IS NOT NULL;

-- What an operator's request with an Idempotency-Key was answered, so that asking again changes nothing.
CREATE TABLE idempotency (
    org_id TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    key_digest TEXT COLLATE "C" NOT NULL,
    request_digest TEXT COLLATE "C" NOT NULL,
    answer TEXT COLLATE "C" NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, actor, key_digest)
);

CREATE INDEX idempotency_at ON idempotency (org_id, at_ms);

-- Rows that are read on from a number must get their numbers in the order of the commits, or a reader would pass by one that
-- commits late. Whoever takes a number keeps this row locked until its commit.
CREATE TABLE counter (
    name TEXT COLLATE "C" PRIMARY KEY,
    value BIGINT NOT NULL
) WITH (fillfactor = 10);

INSERT INTO counter (name, value) VALUES ('event', 0), ('change', 0);

-- Ledger rows are facts: corrections are new rows that cite them.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% are never %', TG_ARGV[0], TG_ARGV[1] USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER event_no_update BEFORE UPDATE ON event
    FOR EACH ROW EXECUTE FUNCTION refuse_change('event rows', 'updated');
CREATE TRIGGER event_no_delete BEFORE DELETE ON event
    FOR EACH ROW EXECUTE FUNCTION refuse_change('event rows', 'deleted');
CREATE TRIGGER event_no_truncate BEFORE TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('event rows', 'deleted');
CREATE TRIGGER ledger_entry_no_update BEFORE UPDATE ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_change('ledger entries', 'updated');
CREATE TRIGGER ledger_entry_no_delete BEFORE DELETE ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_change('ledger entries', 'deleted');
CREATE TRIGGER ledger_entry_no_truncate BEFORE TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('ledger entries', 'deleted');
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change('audit rows', 'updated');
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change('audit rows', 'deleted');
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('audit rows', 'deleted');
