-- When failures of a provider, or of requests that a route leads somewhere, cool. JSON. Absent: as usual.
ALTER TABLE providers ADD COLUMN cooling TEXT;
ALTER TABLE routes ADD COLUMN cooling TEXT;
