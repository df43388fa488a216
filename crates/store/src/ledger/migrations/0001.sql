-- The store's own facts: id_key, key_check, checkpoint, last_seq.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Numbers are never used again (AUTOINCREMENT), also where rows are deleted.
CREATE TABLE accounts (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL,
    name       TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    deleted_ms INTEGER
);
CREATE UNIQUE INDEX accounts_by_id ON accounts (id) WHERE deleted_ms IS NULL;
CREATE INDEX accounts_deleted ON accounts (no) WHERE deleted_ms IS NOT NULL;

CREATE TABLE keys (
    no             INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    account        INTEGER NOT NULL,
    key_hash       BLOB NOT NULL UNIQUE,
    signing_secret BLOB,
    tier           TEXT,
    roles          TEXT NOT NULL,
    scopes         TEXT NOT NULL,
    description    TEXT,
    created_ms     INTEGER NOT NULL,
    expires_ms     INTEGER,
    revoked_ms     INTEGER
);
CREATE INDEX keys_by_account ON keys (account, no);

CREATE TABLE webhooks (
    no            INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    account       INTEGER NOT NULL,
    key           INTEGER,
    url           TEXT NOT NULL,
    canonical_url TEXT NOT NULL,
    subscription  TEXT NOT NULL,
    state         TEXT NOT NULL,
    description   TEXT,
    extension     TEXT NOT NULL,
    secrets       BLOB NOT NULL,
    created_after INTEGER NOT NULL,
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL,
    deleted_ms    INTEGER,
    deleted_seq   INTEGER
);
CREATE INDEX webhooks_by_account ON webhooks (account, no);
CREATE INDEX webhooks_by_url ON webhooks (account, canonical_url) WHERE deleted_ms IS NULL;

-- What changes with every attempt of a webhook, written once in a commit. The head is its newest attempt.
-- Without a row here the webhook is forgotten, and nothing more is recorded for it.
CREATE TABLE standings (
    webhook         INTEGER PRIMARY KEY,
    fails           INTEGER NOT NULL DEFAULT 0,
    last_attempt_ms INTEGER,
    last_success_ms INTEGER,
    head_event      INTEGER,
    head_n          INTEGER,
    attempted       INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE events (
    seq           INTEGER PRIMARY KEY,
    audience      INTEGER NOT NULL, -- 0 an account, 1 everybody, 2 one webhook
    audience_no   INTEGER,
    type          TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    send_ms       INTEGER,
    data_start    INTEGER NOT NULL,
    data_end      INTEGER NOT NULL,
    account_at    INTEGER,
    checksum      INTEGER NOT NULL,
    body          BLOB NOT NULL
);

-- Written when there is something to remember, mostly the first attempt, which lies inside.
-- (prev_event, prev_n) is the webhook's attempt before this one.
CREATE TABLE deliveries (
    event        INTEGER NOT NULL,
    webhook      INTEGER NOT NULL,
    state        INTEGER NOT NULL, -- 0 pending, 1 delivered, 2 failed, 3 canceled
    reason       TEXT,
    attempts     INTEGER NOT NULL,
    next_ms      INTEGER,          -- set if and only if pending
    delivered_ms INTEGER,
    last_status  INTEGER,
    last_ms      INTEGER,
    started_ms   INTEGER,
    duration_us  INTEGER,
    status       INTEGER,
    fault        TEXT,
    detail       TEXT,
    is_cut       INTEGER,
    prev_event   INTEGER,
    prev_n       INTEGER,
    signatures   BLOB,
    headers      BLOB,
    body         BLOB,
    PRIMARY KEY (event, webhook)
) WITHOUT ROWID;
-- Only failures and deliveries that must wait enter these two.
CREATE INDEX deliveries_pending ON deliveries (webhook, next_ms, event, attempts) WHERE next_ms IS NOT NULL;
CREATE INDEX deliveries_not_made ON deliveries (webhook, event) WHERE state >= 2;

-- Attempts after the first.
CREATE TABLE attempts (
    event       INTEGER NOT NULL,
    webhook     INTEGER NOT NULL,
    n           INTEGER NOT NULL,
    started_ms  INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    status      INTEGER,
    fault       TEXT,
    detail      TEXT,
    is_cut      INTEGER NOT NULL,
    prev_event  INTEGER,
    prev_n      INTEGER,
    signatures  BLOB NOT NULL,
    headers     BLOB,
    body        BLOB,
    PRIMARY KEY (event, webhook, n)
) WITHOUT ROWID;

CREATE TABLE idempotency (
    key_hash    BLOB PRIMARY KEY,
    seq         INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    until_ms    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX idempotency_by_end ON idempotency (until_ms);

CREATE TABLE once_tokens (
    token    BLOB PRIMARY KEY,
    until_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX once_tokens_by_end ON once_tokens (until_ms);
