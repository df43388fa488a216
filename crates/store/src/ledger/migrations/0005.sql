-- What an event has in common with others that go to each webhook in order; null where it goes by itself.
ALTER TABLE events ADD COLUMN ordering_key TEXT;

-- The deliveries of one ordering key at a webhook are a chain, by a number made from the key. Of a chain's pending
-- deliveries exactly one has a time; the others have one that never comes (2^60), until it is their turn.
ALTER TABLE deliveries ADD COLUMN chain INTEGER;
CREATE INDEX deliveries_chained ON deliveries (webhook, chain, next_ms, event)
    WHERE chain IS NOT NULL AND next_ms IS NOT NULL;
