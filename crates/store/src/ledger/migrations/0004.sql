-- What an event says of a watched value, with the value before it; null where the type watches none.
ALTER TABLE events ADD COLUMN watched TEXT;

-- The latest value that events told of; account 0 stands for broadcasts.
CREATE TABLE watched_values (
    account INTEGER NOT NULL,
    type    TEXT NOT NULL,
    per     TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (account, type, per)
) WITHOUT ROWID;
