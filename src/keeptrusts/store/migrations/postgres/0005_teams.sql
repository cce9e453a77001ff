-- The directory of teams: where it is strict, only these, and those that have a wallet or a group, can be given anything.

CREATE TABLE team (
    org_id TEXT COLLATE "C" NOT NULL,
    team_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, team_id)
);
