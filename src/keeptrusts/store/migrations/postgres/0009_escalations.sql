-- Calls that a policy leaves to a person wait with a ticket too: without a wallet, perhaps without a team, and without money.
-- policies and found are JSON lists, and NULL for a budget's ticket; used_by is the call that an approval let through.

ALTER TABLE cost_ticket ALTER COLUMN team_id DROP NOT NULL;
ALTER TABLE cost_ticket ALTER COLUMN wallet_id DROP NOT NULL;
ALTER TABLE cost_ticket ADD COLUMN policies TEXT COLLATE "C";
ALTER TABLE cost_ticket ADD COLUMN found TEXT COLLATE "C";
ALTER TABLE cost_ticket ADD COLUMN used_by TEXT COLLATE "C";
ALTER TABLE cost_ticket ADD CONSTRAINT cost_ticket_of_policy CHECK (
    (policies IS NULL) = (found IS NULL)
    AND (policies IS NULL OR (wallet_id IS NULL AND lease_id IS NULL AND hold_nanos = 0 AND top_up_nanos = 0))
    AND (policies IS NOT NULL OR (team_id IS NOT NULL AND wallet_id IS NOT NULL AND used_by IS NULL))
);
