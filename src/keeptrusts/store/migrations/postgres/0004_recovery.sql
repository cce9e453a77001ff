-- What the store must know of each node to notice that it lost something, and to wait for it in recovery mode.

-- grants: how many grants the node was given. excused_seq: up to which record a person has given its journal up.
-- recovery_ms: the recovery that the columns after it speak of, by its beginning. said_*: what the node said of itself then;
-- its journal is complete here once it is applied up to said_seq.
CREATE TABLE node_mark (
    org_id TEXT COLLATE "C" NOT NULL,
    node_id TEXT COLLATE "C" NOT NULL,
    grants BIGINT NOT NULL DEFAULT 0 CHECK (grants >= 0),
    excused_seq BIGINT NOT NULL DEFAULT 0,
    recovery_ms BIGINT NOT NULL DEFAULT 0,
    said_seq BIGINT NOT NULL DEFAULT 0,
    said_shipped_seq BIGINT NOT NULL DEFAULT 0,
    said_grants BIGINT NOT NULL DEFAULT 0,
    complete SMALLINT NOT NULL DEFAULT 0 CHECK (complete IN (0, 1)),
    PRIMARY KEY (org_id, node_id)
);

INSERT INTO node_mark (org_id, node_id, grants)
SELECT lease.org_id, lease.node_id, COUNT(*)
FROM lease_grant JOIN lease ON lease.org_id = lease_grant.org_id AND lease.lease_id = lease_grant.lease_id
GROUP BY lease.org_id, lease.node_id;
