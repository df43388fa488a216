-- Deliveries that wait for their first attempt, apart from retries: of a webhook with many retries the newest that were never
-- sent are found at once.
CREATE INDEX deliveries_unattempted ON deliveries (webhook, next_ms, event) WHERE next_ms IS NOT NULL AND attempts = 0;
