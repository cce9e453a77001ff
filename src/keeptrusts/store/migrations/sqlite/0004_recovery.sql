-- What the store must know of each node to notice that it lost something, and to wait for it in recovery mode.

-- grants: how many grants the node was given. excused_seq: up to which record a person has given its journal up.
-- recovery_ms: the recovery that the columns after it speak of, by its beginning. said_*: what the node said of itself then;
-- its journal is complete here once it is applied up to said_seq.
CREATE TABLE node_mark (
    org_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    grants INTEGER NOT NULL DEFAULT 0 CHECK (grants >= 0),
    excused_seq INTEGER NOT NULL DEFAULT 0,
    recovery_ms INTEGER NOT NULL DEFAULT 0,
    said_seq INTEGER NOT NULL DEFAULT 0,
    said_shipped_seq INTEGER NOT NULL DEFAULT 0,
    said_grants INTEGER NOT NULL DEFAULT 0,
    complete INTEGER NOT NULL DEFAULT 0 CHECK (complete IN (0, 1)),
    PRIMARY KEY (org_id, node_id)
) STRICT;

INSERT INTO node_mark (org_id, node_id, grants)
SELECT lease.org_id, lease.node_id, COUNT(*)
FROM lease_grant JOIN lease ON lease.org_id = lease_grant.org_id AND lease.lease_id = lease_grant.lease_id
GROUP BY lease.org_id, lease.node_id;
