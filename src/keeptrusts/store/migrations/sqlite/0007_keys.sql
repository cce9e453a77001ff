-- What clients may add to a key's attribution, and where they may call from: JSON texts.
ALTER TABLE token ADD COLUMN allowed_dimensions TEXT NOT NULL DEFAULT '{}';
ALTER TABLE token ADD COLUMN allowed_ips TEXT NOT NULL DEFAULT '[]';
-- The secret before the last rotation, and how long it is still of use.
ALTER TABLE token ADD COLUMN old_digest TEXT;
ALTER TABLE token ADD COLUMN old_until_ms INTEGER;
ALTER TABLE token ADD COLUMN rotated_at_ms INTEGER;
CREATE INDEX token_old_digest ON token (org_id, old_digest);
-- What happens to a key whose budget is used up; who suspended it; when a call of it was last refused for want of money, 0 once
-- that was looked into; and how much its tightest budget had left when it was suspended.
ALTER TABLE token ADD COLUMN on_exhausted TEXT NOT NULL DEFAULT 'refuse';
ALTER TABLE token ADD COLUMN suspended_reason TEXT;
ALTER TABLE token ADD COLUMN left_nanos INTEGER;
ALTER TABLE token ADD COLUMN short_at_ms INTEGER NOT NULL DEFAULT 0;
-- Both are looked for once a second, and few keys are either.
CREATE INDEX token_short ON token (org_id, token_id) WHERE short_at_ms > 0;
CREATE INDEX token_exhausted ON token (org_id, token_id) WHERE suspended_reason = 'budget_exhausted';
UPDATE token SET suspended_reason = 'manual' WHERE status = 'suspended';
