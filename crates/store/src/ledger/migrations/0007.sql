-- When a delivery was canceled, by the wall clock: what ended without an attempt is kept as long as what ended with one.
ALTER TABLE deliveries ADD COLUMN canceled_ms INTEGER;
