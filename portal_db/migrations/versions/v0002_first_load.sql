-- rows that say they are stale are few, and every load asks for them
CREATE INDEX price_stale_idx ON portal.price (erp) WHERE stale_since IS NOT NULL;

-- CREATE TABLE … PARTITION OF locks the parent against every reader until the commit; attaching a
-- table of its own does not
CREATE OR REPLACE FUNCTION portal.ensure_price_partition(erp text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF erp !~ '^[a-z][a-z0-9_]{0,39}$' THEN
    RAISE EXCEPTION 'not the name of an ERP: %', erp;
  END IF;
  IF to_regclass(format('portal.%I', 'price_' || erp)) IS NULL THEN
    EXECUTE format('CREATE TABLE portal.%I (LIKE portal.price INCLUDING ALL, CHECK (erp = %L)) '
                   'WITH (fillfactor = 85)', 'price_' || erp, erp);
    EXECUTE format('ALTER TABLE portal.price ATTACH PARTITION portal.%I FOR VALUES IN (%L)',
                   'price_' || erp, erp);
  END IF;
END $$;

-- the commit of a first load: the finished table of one run becomes the ERP's partition
CREATE FUNCTION portal.attach_price_partition(run_id bigint, erp text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  staged text := format('run_%s_price', run_id);
  final text := 'price_' || erp;
BEGIN
  IF erp !~ '^[a-z][a-z0-9_]{0,39}$' THEN
    RAISE EXCEPTION 'not the name of an ERP: %', erp;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = 'staging' AND c.relname = staged AND c.relkind = 'r'
                 AND c.relpersistence = 'p'
                 AND pg_get_userbyid(c.relowner) IN ('waybill_sync', 'waybill_owner')) THEN
    RAISE EXCEPTION 'run % has no finished table of prices', run_id;
  END IF;
  EXECUTE format('ALTER TABLE staging.%I OWNER TO waybill_owner', staged);
  EXECUTE format('REVOKE ALL ON staging.%I FROM waybill_sync', staged);
  EXECUTE format('ALTER TABLE staging.%I SET SCHEMA portal', staged);
  EXECUTE format('ALTER TABLE portal.%I RENAME TO %I', staged, final);
  EXECUTE format('ALTER TABLE portal.price ATTACH PARTITION portal.%I FOR VALUES IN (%L)',
                 final, erp);
END $$;
REVOKE ALL ON FUNCTION portal.attach_price_partition(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal.attach_price_partition(bigint, text) TO waybill_sync;

-- a table that has just been filled has no statistics until autovacuum comes by, and the next load
-- would plan with none; only the owner may gather them
CREATE FUNCTION portal.gather_statistics(part text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = 'portal' AND c.relname = part AND c.relkind = 'r') THEN
    RAISE EXCEPTION 'no table of portal: %', part;
  END IF;
  EXECUTE format('ANALYZE portal.%I', part);
END $$;
REVOKE ALL ON FUNCTION portal.gather_statistics(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal.gather_statistics(text) TO waybill_sync;
