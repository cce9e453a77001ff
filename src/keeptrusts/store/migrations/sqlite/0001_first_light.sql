-- The first schema: money (wallets to alerts), the one row per call, and what operators keep (tokens, prices, nodes).
-- Amounts are nano-USD, rates pico-USD per token. The organization comes first in every key, so that it can be sharded.

CREATE TABLE wallet (
    org_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    zone TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 0),
    short_at_ms INTEGER NOT NULL,
    recalled_at_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, wallet_id),
    UNIQUE (org_id, scope, scope_id)
) STRICT;

-- What people set for this and later periods. wallet_period rows are made from it when a period is first used.
CREATE TABLE wallet_budget (
    org_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount_nanos INTEGER NOT NULL CHECK (amount_nanos >= 0),
    PRIMARY KEY (org_id, wallet_id, kind),
    FOREIGN KEY (org_id, wallet_id) REFERENCES wallet (org_id, wallet_id)
) STRICT;

-- A cap on top of the wallet, from a node's policy file; it holds for as long as that node lives.
CREATE TABLE spend_control (
    org_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    hard_cap_nanos INTEGER NOT NULL CHECK (hard_cap_nanos >= 0),
    soft_cap_nanos INTEGER CHECK (soft_cap_nanos >= 0),
    PRIMARY KEY (org_id, wallet_id, kind, node_id),
    FOREIGN KEY (org_id, wallet_id) REFERENCES wallet (org_id, wallet_id)
) STRICT;

CREATE TABLE wallet_period (
    org_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL CHECK (end_ms > start_ms),
    budget_nanos INTEGER NOT NULL CHECK (budget_nanos >= 0),
    posted_nanos INTEGER NOT NULL CHECK (posted_nanos >= 0),
    leased_nanos INTEGER NOT NULL CHECK (leased_nanos >= 0),
    suspense_nanos INTEGER NOT NULL CHECK (suspense_nanos >= 0),
    overrun_nanos INTEGER NOT NULL CHECK (overrun_nanos >= 0),
    unleased_nanos INTEGER NOT NULL CHECK (unleased_nanos >= 0),
    PRIMARY KEY (org_id, wallet_id, kind, start_ms),
    FOREIGN KEY (org_id, wallet_id) REFERENCES wallet (org_id, wallet_id)
) STRICT;

-- wallet_id is empty for a lease that was closed before the store had heard of it or of its team.
CREATE TABLE lease (
    org_id TEXT NOT NULL,
    lease_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    granted_nanos INTEGER NOT NULL CHECK (granted_nanos >= 0),
    settled_nanos INTEGER NOT NULL CHECK (settled_nanos >= 0),
    returned_nanos INTEGER NOT NULL CHECK (returned_nanos >= 0),
    closed INTEGER NOT NULL CHECK (closed IN (0, 1)),
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, lease_id),
    CHECK (settled_nanos + returned_nanos <= granted_nanos)
) STRICT;

CREATE INDEX lease_open ON lease (org_id, wallet_id) WHERE closed = 0;

CREATE TABLE lease_line (
    org_id TEXT NOT NULL,
    lease_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, lease_id, wallet_id, kind, start_ms),
    FOREIGN KEY (org_id, lease_id) REFERENCES lease (org_id, lease_id),
    FOREIGN KEY (org_id, wallet_id, kind, start_ms) REFERENCES wallet_period (org_id, wallet_id, kind, start_ms)
) STRICT;

-- Grants that moved money, so that asking again with the same id moves nothing.
CREATE TABLE lease_grant (
    org_id TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    lease_id TEXT NOT NULL,
    granted_nanos INTEGER NOT NULL CHECK (granted_nanos > 0),
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, grant_id),
    FOREIGN KEY (org_id, lease_id) REFERENCES lease (org_id, lease_id)
) STRICT;

CREATE TABLE journal (
    org_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    last_seq INTEGER NOT NULL CHECK (last_seq >= 0),
    chain TEXT NOT NULL,
    PRIMARY KEY (org_id, node_id)
) STRICT;

CREATE TABLE quarantine (
    org_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    journal_seq INTEGER NOT NULL,
    record BLOB NOT NULL,
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, node_id, journal_seq)
) STRICT;

CREATE TABLE ledger_entry (
    entry_no INTEGER PRIMARY KEY,
    org_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    type TEXT NOT NULL,
    amount_nanos INTEGER NOT NULL,
    balance_nanos INTEGER NOT NULL,
    period_key TEXT NOT NULL,
    event_id TEXT,
    actor TEXT NOT NULL,
    description TEXT,
    at_ns INTEGER NOT NULL
) STRICT;

CREATE INDEX ledger_entry_wallet ON ledger_entry (org_id, wallet_id, entry_no);

-- The one row per call; budget alerts stand among them as rows of their own type.
CREATE TABLE event (
    event_no INTEGER PRIMARY KEY,
    org_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    node_id TEXT NOT NULL,
    journal_seq INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    key_id TEXT,
    consumer_group TEXT,
    team_id TEXT,
    application TEXT,
    feature TEXT,
    environment TEXT,
    project TEXT,
    customer TEXT,
    department TEXT,
    user_id TEXT,
    provider TEXT,
    model TEXT,
    asked_model TEXT,
    served_model TEXT,
    status TEXT NOT NULL,
    reason TEXT,
    cost_nanos INTEGER,
    input_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    usage_source TEXT NOT NULL,
    price_version TEXT,
    unpriced INTEGER NOT NULL CHECK (unpriced IN (0, 1)),
    cache_hit INTEGER NOT NULL CHECK (cache_hit IN (0, 1)),
    saved_nanos INTEGER NOT NULL,
    policy_actions TEXT NOT NULL,
    attempts TEXT NOT NULL,
    request_id TEXT NOT NULL,
    stream INTEGER NOT NULL CHECK (stream IN (0, 1)),
    http_status INTEGER NOT NULL,
    period_key TEXT,
    details TEXT,
    UNIQUE (org_id, event_id)
) STRICT;

-- Sums go by time, lists by the order of recording.
CREATE INDEX event_at ON event (org_id, at_ns);
CREATE INDEX event_order ON event (org_id, event_no);
CREATE INDEX event_team ON event (org_id, team_id, event_no);
CREATE INDEX event_key ON event (org_id, key_id, event_no) WHERE key_id IS NOT NULL;
CREATE INDEX event_request ON event (org_id, request_id);

CREATE TABLE alert (
    org_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    threshold TEXT NOT NULL,
    event_id TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    PRIMARY KEY (org_id, wallet_id, kind, start_ms, threshold)
) STRICT;

CREATE TABLE token (
    org_id TEXT NOT NULL,
    token_id TEXT NOT NULL,
    token_type TEXT NOT NULL,
    digest TEXT NOT NULL,
    hint TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    status TEXT NOT NULL,
    class TEXT,
    role TEXT,
    rate_limit INTEGER,
    allowed_models TEXT,
    consumer_group TEXT,
    attribution TEXT NOT NULL,
    team_id TEXT,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    last_used_at_ms INTEGER,
    PRIMARY KEY (org_id, token_id),
    UNIQUE (digest)
) STRICT;

CREATE TABLE price (
    price_no INTEGER PRIMARY KEY,
    org_id TEXT NOT NULL,
    price_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    catalogue INTEGER NOT NULL CHECK (catalogue IN (0, 1)),
    effective_from_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (org_id, price_id)
) STRICT;

CREATE INDEX price_model ON price (org_id, provider, model);

CREATE TABLE node (
    org_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    token_digest TEXT NOT NULL,
    registration TEXT NOT NULL,
    registered_at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, node_id),
    UNIQUE (token_digest)
) STRICT;

CREATE TABLE consumer_group (
    org_id TEXT NOT NULL,
    name TEXT NOT NULL,
    node_id TEXT NOT NULL,
    team_id TEXT,
    limits TEXT NOT NULL,
    PRIMARY KEY (org_id, name)
) STRICT;

-- What nodes must hear, in the order of the commits.
CREATE TABLE change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    recall INTEGER NOT NULL CHECK (recall IN (0, 1)),
    except_node_id TEXT
) STRICT;

CREATE TABLE audit (
    audit_no INTEGER PRIMARY KEY,
    org_id TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Ledger rows are facts: corrections are new rows that cite them.
CREATE TRIGGER event_no_update BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'event rows are never updated'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'event rows are never deleted'); END;
CREATE TRIGGER entry_no_update BEFORE UPDATE ON ledger_entry BEGIN SELECT RAISE(ABORT, 'ledger entries are never updated'); END;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON ledger_entry BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never updated'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;
