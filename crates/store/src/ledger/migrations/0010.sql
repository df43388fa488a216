-- Of a webhook that is switched off, the latest event accepted before that: what was owed until then and has no row yet gets one
-- that `recover` finds.
ALTER TABLE standings ADD COLUMN off_seq INTEGER;
