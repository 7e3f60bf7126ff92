ALTER TABLE access_keys DROP COLUMN master_key_id;
