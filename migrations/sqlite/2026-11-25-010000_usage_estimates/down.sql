ALTER TABLE usage_entries DROP COLUMN usage_estimated;
