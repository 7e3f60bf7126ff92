ALTER TABLE providers DROP COLUMN detected_formats;
ALTER TABLE providers DROP COLUMN also_speaks;
