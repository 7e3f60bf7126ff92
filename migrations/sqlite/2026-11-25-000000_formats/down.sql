ALTER TABLE providers DROP COLUMN also_speaks;
