-- When money of a lease last went to suspense, and why.
ALTER TABLE lease ADD COLUMN suspended_at_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN suspended_why TEXT;
