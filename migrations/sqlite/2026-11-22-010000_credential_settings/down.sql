ALTER TABLE providers DROP COLUMN rules;
ALTER TABLE providers DROP COLUMN credential_strategy;

ALTER TABLE credentials DROP COLUMN headers_sealed;
ALTER TABLE credentials DROP COLUMN egress_sealed;
ALTER TABLE credentials DROP COLUMN max_in_flight;
ALTER TABLE credentials DROP COLUMN weight;
ALTER TABLE credentials DROP COLUMN priority;
