ALTER TABLE routes DROP COLUMN across_tiers;
ALTER TABLE routes DROP COLUMN attempt_timeout_ms;
ALTER TABLE providers DROP COLUMN attempt_timeout_ms;
