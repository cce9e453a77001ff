-- The directory of teams: where it is strict, only these, and those that have a wallet or a group, can be given anything.

CREATE TABLE team (
    org_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, team_id)
) STRICT;
