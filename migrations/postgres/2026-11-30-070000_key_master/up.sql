-- Names the master key that a hash was made under. Absent: it was made before that was kept.
ALTER TABLE access_keys ADD COLUMN master_key_id TEXT;
