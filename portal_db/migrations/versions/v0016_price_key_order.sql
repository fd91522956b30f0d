-- a key over millions of rows takes longer than any other statement of a migration
SET LOCAL statement_timeout = '30min';

-- In a partition of one ERP every row has the same `erp`: as the first column of the key it is
-- compared in vain, for each row that is sorted and on each page that is searched. Whoever looks
-- for an ERP's prices names it, and its partition is found by that.
ALTER TABLE portal.price DROP CONSTRAINT price_pkey;
ALTER TABLE portal.price ADD CONSTRAINT price_pkey PRIMARY KEY (header_key, min_qty, erp);
