-- Named tokens of the admin API, known by a keyed hash. A name belongs to one token that works.
CREATE TABLE tokens (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    token_hash BLOB NOT NULL UNIQUE,
    scope      TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER,
    used_ms    INTEGER
);
CREATE INDEX tokens_by_name ON tokens (name, expires_ms) WHERE revoked_ms IS NULL;
CREATE INDEX tokens_unrevoked ON tokens (expires_ms) WHERE revoked_ms IS NULL;
CREATE INDEX tokens_by_revocation ON tokens (revoked_ms) WHERE revoked_ms IS NOT NULL;
CREATE INDEX tokens_by_expiry ON tokens (expires_ms) WHERE expires_ms IS NOT NULL;

-- Who changed what, written in the transaction of the change. It holds public ids, so it outlives what it tells of.
CREATE TABLE audit (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms      INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    actor_id   TEXT,
    actor_name TEXT,
    action     TEXT NOT NULL,
    account    TEXT,
    object     TEXT NOT NULL,
    fields     TEXT,
    count      INTEGER,
    reason     TEXT,
    name       TEXT,
    scope      TEXT,
    address    TEXT,
    request_id TEXT
);
CREATE INDEX audit_by_time ON audit (at_ms);
CREATE INDEX audit_by_account ON audit (account, no) WHERE account IS NOT NULL;
