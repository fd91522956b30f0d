-- What people did cannot be changed without a trace: content hashed at insert, sealed into a chain.

ALTER TABLE sync.audit
  ADD COLUMN db_user text,
  ADD COLUMN content text,
  ADD COLUMN content_sha256 bytea;
COMMENT ON COLUMN sync.audit.db_user IS 'who the database says it was';
COMMENT ON COLUMN sync.audit.content IS 'the row as JSON text, exactly what was hashed';

CREATE FUNCTION sync.audit_content(entry sync.audit) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT jsonb_build_object(
          'id', entry.id,
          'at', to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
          'db_user', entry.db_user, 'actor', entry.actor, 'action', entry.action,
          'subject', entry.subject, 'detail', entry.detail)::text $$;

CREATE FUNCTION sync.audit_hash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.at := clock_timestamp();
  NEW.db_user := session_user;
  NEW.content := sync.audit_content(NEW);
  NEW.content_sha256 := sha256(convert_to(NEW.content, 'UTF8'));
  RETURN NEW;
END $$;

CREATE FUNCTION sync.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, lower(TG_OP)
    USING ERRCODE = 'restrict_violation';
END $$;

-- rows from before the chain are hashed as they stand
UPDATE sync.audit SET db_user = 'before the chain';
UPDATE sync.audit SET content = sync.audit_content(audit);
UPDATE sync.audit SET content_sha256 = sha256(convert_to(content, 'UTF8'));
ALTER TABLE sync.audit
  ALTER COLUMN db_user SET NOT NULL,
  ALTER COLUMN content SET NOT NULL,
  ALTER COLUMN content_sha256 SET NOT NULL;

CREATE TRIGGER audit_hash BEFORE INSERT ON sync.audit
  FOR EACH ROW EXECUTE FUNCTION sync.audit_hash();
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON sync.audit
  FOR EACH ROW EXECUTE FUNCTION sync.append_only();
CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON sync.audit
  FOR EACH STATEMENT EXECUTE FUNCTION sync.append_only();
CREATE INDEX audit_subject_idx ON sync.audit (subject, id);

CREATE TABLE sync.audit_link (
  position bigint NOT NULL,
  audit_id bigint NOT NULL,
  content_sha256 bytea NOT NULL,
  chain_sha256 bytea NOT NULL,
  sealed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (position),
  CONSTRAINT audit_link_once UNIQUE (audit_id)
);
COMMENT ON TABLE sync.audit_link IS
  'The chain over sync.audit; each link hashes the one before it. One writer, append-only.';
CREATE TRIGGER audit_link_append_only BEFORE UPDATE OR DELETE ON sync.audit_link
  FOR EACH ROW EXECUTE FUNCTION sync.append_only();
CREATE TRIGGER audit_link_not_emptied BEFORE TRUNCATE ON sync.audit_link
  FOR EACH STATEMENT EXECUTE FUNCTION sync.append_only();

CREATE TABLE sync.audit_anchor (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  position bigint NOT NULL,
  chain_sha256 bytea NOT NULL,
  place text NOT NULL
);
COMMENT ON TABLE sync.audit_anchor IS
  'Where the head of the chain was written down outside; proof lies there, not here.';
COMMENT ON COLUMN sync.audit_anchor.place IS 'address outside this database';

-- seals what is not sealed yet, in the order of ids; a row that commits later comes later.
-- Called again until it returns 0. The lock makes it one writer; the keys would refuse a second.
CREATE FUNCTION sync.seal_audit(most integer, everything boolean) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  last sync.audit_link;
  entry record;
  sealed integer := 0;
  look_back constant bigint := 100000;  -- ids: a transaction may commit long after it drew its id
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('sync.audit_link', 0));
  SELECT * INTO last FROM sync.audit_link ORDER BY position DESC LIMIT 1;
  IF last IS NULL THEN
    last.position := 0;
    last.chain_sha256 := sha256('waybill audit chain, version 1');
  END IF;
  FOR entry IN
    SELECT a.id, a.content_sha256 FROM sync.audit a
    WHERE (everything OR a.id > coalesce((SELECT max(audit_id) FROM sync.audit_link), 0) - look_back)
      AND NOT EXISTS (SELECT FROM sync.audit_link l WHERE l.audit_id = a.id)
    ORDER BY a.id LIMIT most
  LOOP
    last.position := last.position + 1;
    last.chain_sha256 := sha256(last.chain_sha256 || int8send(last.position)
                                || int8send(entry.id) || entry.content_sha256);
    INSERT INTO sync.audit_link (position, audit_id, content_sha256, chain_sha256)
      VALUES (last.position, entry.id, entry.content_sha256, last.chain_sha256);
    sealed := sealed + 1;
  END LOOP;
  RETURN sealed;
END $$;

-- reading the audit is audited: roles that may only read leave their own line through this
CREATE FUNCTION sync.note_reading(actor text, subject text, detail jsonb) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ INSERT INTO sync.audit (actor, action, subject, detail)
        VALUES (actor, 'read', subject, detail) $$;

REVOKE ALL ON FUNCTION sync.seal_audit(integer, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION sync.note_reading(text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sync.seal_audit(integer, boolean) TO waybill_sync;
GRANT EXECUTE ON FUNCTION sync.note_reading(text, text, jsonb)
  TO waybill_sync, waybill_review, waybill_auditor;
GRANT SELECT ON sync.audit_link, sync.audit_anchor TO waybill_sync, waybill_review, waybill_auditor;
GRANT INSERT ON sync.audit_anchor TO waybill_sync;
