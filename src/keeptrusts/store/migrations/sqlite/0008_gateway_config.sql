-- The configuration that managed gateways go by, version by version. Rows are only ever added.

CREATE TABLE gateway_config (
    org_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    text TEXT NOT NULL,
    actor TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, version)
) STRICT;
