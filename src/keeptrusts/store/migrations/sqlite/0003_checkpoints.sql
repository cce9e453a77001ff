-- Signed checkpoints over the rows that are only added to: events, ledger entries, the audit trail.

-- statement: the exact text that is signed; everything that a checkpoint says stands there and nowhere else.
CREATE TABLE checkpoint (
    org_id TEXT NOT NULL,
    checkpoint_no INTEGER NOT NULL CHECK (checkpoint_no > 0),
    statement TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (org_id, checkpoint_no)
) STRICT;

-- The hash of each row that a checkpoint covers, so that a later look can name the one that differs.
CREATE TABLE checkpoint_rows (
    org_id TEXT NOT NULL,
    checkpoint_no INTEGER NOT NULL,
    table_name TEXT NOT NULL,
    contents BLOB NOT NULL,
    PRIMARY KEY (org_id, checkpoint_no, table_name)
) STRICT;

CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint BEGIN SELECT RAISE(ABORT, 'checkpoints are never updated'); END;
CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint BEGIN SELECT RAISE(ABORT, 'checkpoints are never deleted'); END;
CREATE TRIGGER checkpoint_rows_no_update BEFORE UPDATE ON checkpoint_rows BEGIN SELECT RAISE(ABORT, 'rows of checkpoints are never updated'); END;
CREATE TRIGGER checkpoint_rows_no_delete BEFORE DELETE ON checkpoint_rows BEGIN SELECT RAISE(ABORT, 'rows of checkpoints are never deleted'); END;
