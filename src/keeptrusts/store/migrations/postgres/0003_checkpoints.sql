-- Signed checkpoints over the rows that are only added to: events, ledger entries, the audit trail.

-- statement: the exact text that is signed; everything that a checkpoint says stands there and nowhere else.
CREATE TABLE checkpoint (
    org_id TEXT COLLATE "C" NOT NULL,
    checkpoint_no BIGINT NOT NULL CHECK (checkpoint_no > 0),
    statement TEXT COLLATE "C" NOT NULL,
    signature TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, checkpoint_no)
);

-- The hash of each row that a checkpoint covers, so that a later look can name the one that differs.
CREATE TABLE checkpoint_rows (
    org_id TEXT COLLATE "C" NOT NULL,
    checkpoint_no BIGINT NOT NULL,
    table_name TEXT COLLATE "C" NOT NULL,
    contents BYTEA NOT NULL,
    PRIMARY KEY (org_id, checkpoint_no, table_name)
);

CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint
    FOR EACH ROW EXECUTE FUNCTION refuse_change('checkpoints', 'updated');
CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint
    FOR EACH ROW EXECUTE FUNCTION refuse_change('checkpoints', 'deleted');
CREATE TRIGGER checkpoint_no_truncate BEFORE TRUNCATE ON checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('checkpoints', 'deleted');
CREATE TRIGGER checkpoint_rows_no_update BEFORE UPDATE ON checkpoint_rows
    FOR EACH ROW EXECUTE FUNCTION refuse_change('rows of checkpoints', 'updated');
CREATE TRIGGER checkpoint_rows_no_delete BEFORE DELETE ON checkpoint_rows
    FOR EACH ROW EXECUTE FUNCTION refuse_change('rows of checkpoints', 'deleted');
CREATE TRIGGER checkpoint_rows_no_truncate BEFORE TRUNCATE ON checkpoint_rows
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('rows of checkpoints', 'deleted');
