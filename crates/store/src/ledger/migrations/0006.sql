-- Checksums of rows that say where events go and who may do what; the program fills them in with this step. Those of events
-- cover from here on who an event is for and when, too.
ALTER TABLE accounts ADD COLUMN row_check INTEGER;
ALTER TABLE keys ADD COLUMN row_check INTEGER;
ALTER TABLE tokens ADD COLUMN row_check INTEGER;
ALTER TABLE webhooks ADD COLUMN row_check INTEGER;
