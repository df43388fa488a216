-- From here on the checkpoint is there from the beginning, so that one that is missing is damage; the program writes it with
-- this step where there is none. Definitions are compared with those that these steps make; the first stores that had tokens
-- got other indexes for them, so these are made anew.
DROP INDEX IF EXISTS tokens_by_name;
DROP INDEX IF EXISTS tokens_unrevoked;
DROP INDEX IF EXISTS tokens_by_revocation;
DROP INDEX IF EXISTS tokens_by_expiry;
CREATE INDEX tokens_by_name ON tokens (name, expires_ms) WHERE revoked_ms IS NULL;
CREATE INDEX tokens_unrevoked ON tokens (expires_ms) WHERE revoked_ms IS NULL;
CREATE INDEX tokens_by_revocation ON tokens (revoked_ms) WHERE revoked_ms IS NOT NULL;
CREATE INDEX tokens_by_expiry ON tokens (expires_ms) WHERE expires_ms IS NOT NULL;
