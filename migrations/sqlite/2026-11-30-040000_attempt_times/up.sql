-- Milliseconds for one attempt at a whole answer while another candidate is left. Absent: the pool's own.
ALTER TABLE providers ADD COLUMN attempt_timeout_ms INTEGER;
ALTER TABLE routes ADD COLUMN attempt_timeout_ms INTEGER;

-- Whether candidates are ordered without regard to the priority of their providers.
ALTER TABLE routes ADD COLUMN across_tiers INTEGER NOT NULL DEFAULT 0;
