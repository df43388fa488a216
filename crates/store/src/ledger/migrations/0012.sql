-- Deliveries that were canceled before their first attempt: no attempt leads to them, and lists show them.
CREATE INDEX deliveries_called_off ON deliveries (webhook, event) WHERE state = 3 AND attempts = 0;
