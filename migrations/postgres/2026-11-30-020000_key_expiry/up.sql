-- From when on a key opens nothing. Absent: it never expires.
ALTER TABLE access_keys ADD COLUMN expires_at BIGINT;
