ALTER TABLE routes DROP COLUMN cooling;
ALTER TABLE providers DROP COLUMN cooling;
