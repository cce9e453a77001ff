-- The configuration that managed gateways go by, version by version. Rows are only ever added.

CREATE TABLE gateway_config (
    org_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, version)
);
