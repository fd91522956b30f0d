-- What an auditor asks for: which rows failed, how often, business figures, what was deleted when.

CREATE TABLE sync.check_failure (
  run_id bigint NOT NULL,
  part text NOT NULL,
  check_id text NOT NULL,
  judge text NOT NULL,
  n integer NOT NULL,
  record_no bigint,
  key text,
  field text NOT NULL,
  value text,
  says text NOT NULL,
  PRIMARY KEY (run_id, part, check_id, judge, n)
);
COMMENT ON TABLE sync.check_failure IS
  'The first failing rows of each check of a run; how many there were is check_result.failed.';
COMMENT ON COLUMN sync.check_failure.value IS 'the ERP''s text, or the measured statistic';

CREATE TABLE sync.check_day (
  erp text NOT NULL,
  feed text NOT NULL,
  part text NOT NULL,
  check_id text NOT NULL,
  judge text NOT NULL,
  day date NOT NULL,
  runs_passed integer NOT NULL,
  runs_failed integer NOT NULL,
  runs_not_evaluated integer NOT NULL,
  evaluated bigint NOT NULL,
  failed bigint NOT NULL,
  last_run bigint NOT NULL,
  PRIMARY KEY (erp, feed, part, check_id, judge, day)
);
CREATE INDEX check_day_day_idx ON sync.check_day (day, erp, feed);
COMMENT ON TABLE sync.check_day IS
  'Check results per UTC day of their run''s start; kept by a trigger of check_result alone.';

CREATE FUNCTION sync.count_checks() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO sync.check_day AS d (erp, feed, part, check_id, judge, day, runs_passed, runs_failed,
                                   runs_not_evaluated, evaluated, failed, last_run)
  SELECT r.erp, r.feed, c.part, c.check_id, c.judge, (r.started_at AT TIME ZONE 'UTC')::date,
         count(*) FILTER (WHERE c.success), count(*) FILTER (WHERE NOT c.success),
         count(*) FILTER (WHERE c.success IS NULL), sum(c.evaluated), sum(c.failed), max(c.run_id)
  FROM fresh c JOIN sync.run r ON r.id = c.run_id
  GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
  ON CONFLICT (erp, feed, part, check_id, judge, day) DO UPDATE SET
    runs_passed = d.runs_passed + excluded.runs_passed,
    runs_failed = d.runs_failed + excluded.runs_failed,
    runs_not_evaluated = d.runs_not_evaluated + excluded.runs_not_evaluated,
    evaluated = d.evaluated + excluded.evaluated,
    failed = d.failed + excluded.failed,
    last_run = greatest(d.last_run, excluded.last_run);
  RETURN NULL;
END $$;
CREATE TRIGGER check_result_counted AFTER INSERT ON sync.check_result
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION sync.count_checks();

INSERT INTO sync.check_day (erp, feed, part, check_id, judge, day, runs_passed, runs_failed,
                            runs_not_evaluated, evaluated, failed, last_run)
SELECT r.erp, r.feed, c.part, c.check_id, c.judge, (r.started_at AT TIME ZONE 'UTC')::date,
       count(*) FILTER (WHERE c.success), count(*) FILTER (WHERE NOT c.success),
       count(*) FILTER (WHERE c.success IS NULL), sum(c.evaluated), sum(c.failed), max(c.run_id)
FROM sync.check_result c JOIN sync.run r ON r.id = c.run_id
GROUP BY 1, 2, 3, 4, 5, 6;
CREATE INDEX run_started_idx ON sync.run (started_at);

CREATE TABLE sync.figure (
  erp text NOT NULL,
  span text NOT NULL,
  starts_on date NOT NULL,
  ends_on date NOT NULL,
  name text NOT NULL,
  value numeric,
  counted numeric NOT NULL,
  of numeric NOT NULL,
  closed boolean NOT NULL,
  computed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (erp, span, starts_on, name),
  CONSTRAINT figure_span CHECK (span IN ('baseline','week','month','quarter')),
  CONSTRAINT figure_days CHECK (starts_on < ends_on)
);
COMMENT ON TABLE sync.figure IS
  'Business figures of an ERP''s orders per span of days of the distributor''s time zone.';
COMMENT ON COLUMN sync.figure.ends_on IS 'the day after the last';
COMMENT ON COLUMN sync.figure.value IS 'NULL: nothing to divide by';
COMMENT ON COLUMN sync.figure.closed IS 'false: the span was not over when this was computed';

CREATE TABLE sync.live_comparison (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  erp text NOT NULL,
  question text NOT NULL,
  dealer_key text,
  product_key text NOT NULL,
  warehouse_key text,
  qty numeric,
  uom text,
  portal_value numeric,
  erp_value numeric,
  agrees boolean,
  says text NOT NULL,
  actor text NOT NULL,
  CONSTRAINT live_comparison_question CHECK (question IN ('price','stock'))
);
CREATE INDEX live_comparison_erp_idx ON sync.live_comparison (erp, id);
COMMENT ON TABLE sync.live_comparison IS
  'What an ERP answered when asked, beside what the portal would have shown. Append-only.';
COMMENT ON COLUMN sync.live_comparison.agrees IS 'NULL: it gave no answer';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON sync.live_comparison
  FOR EACH ROW EXECUTE FUNCTION sync.refuse_change();

-- retention: bytes and personal data go when their time is over, hashes and counts stay
ALTER TABLE sync.batch ADD COLUMN evidence_deleted_at timestamptz;
COMMENT ON COLUMN sync.batch.evidence_deleted_at IS 'when its landed bytes went, by retention';
ALTER TABLE sync.quarantine ADD COLUMN raw_deleted_at timestamptz;
COMMENT ON COLUMN sync.quarantine.raw_deleted_at IS 'when its raw values went, by retention';
CREATE INDEX batch_evidence_idx ON sync.batch (pulled_at) WHERE evidence_deleted_at IS NULL;
CREATE INDEX quarantine_resolved_idx ON sync.quarantine (resolved_at)
  WHERE state <> 'open' AND raw_deleted_at IS NULL;
CREATE INDEX change_at_idx ON sync.change (at);

-- append-only tables give way to retention alone: to the owner, inside sync.expire
CREATE OR REPLACE FUNCTION sync.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'TRUNCATE' AND current_user = 'waybill_owner'
     AND current_setting('waybill.expiring', true) = 'yes' THEN
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
  END IF;
  RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;

-- Takes away at most `most` rows' worth of a class that ended before an instant. Returns how many,
-- and the SHA-256 over the hashes of what they said, in order: who kept a copy can show it was it.
CREATE FUNCTION sync.expire(class text, before timestamptz, most integer,
                            OUT taken bigint, OUT digest bytea, OUT first_at timestamptz,
                            OUT last_at timestamptz)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('waybill.expiring', 'yes', true);
  IF class = 'quarantine' THEN
    WITH due AS (
      SELECT q.id, q.resolved_at AS at, q.raw, q.reasons FROM sync.quarantine q
      WHERE q.state <> 'open' AND q.raw_deleted_at IS NULL AND q.resolved_at < before
      ORDER BY q.resolved_at, q.id LIMIT most FOR UPDATE
    ), tries AS (
      UPDATE sync.attempt a SET detail = a.detail - 'raw' - 'reasons'
      FROM due WHERE a.quarantine_id = due.id RETURNING a.id
    ), gone AS (
      UPDATE sync.quarantine q SET raw = '{}', raw_deleted_at = now(),
        reasons = (SELECT coalesce(jsonb_agg((e - 'raw') || '{"raw": null}'), '[]')
                   FROM jsonb_array_elements(q.reasons) e)
      FROM due WHERE q.id = due.id RETURNING q.id
    )
    SELECT count(*), sha256(string_agg(sha256(convert_to(due.raw || due.reasons::text, 'UTF8')), ''
                                       ORDER BY due.at, due.id)), min(due.at), max(due.at)
    INTO taken, digest, first_at, last_at
    FROM due, (SELECT count(*) FROM tries) t, (SELECT count(*) FROM gone) g;
  ELSIF class = 'failures' THEN
    WITH due AS (
      SELECT f.ctid, r.started_at AS at, f.run_id, f.part, f.check_id, f.judge, f.n,
             to_jsonb(f)::text AS told
      FROM sync.check_failure f JOIN sync.run r ON r.id = f.run_id
      WHERE r.started_at < before ORDER BY f.run_id LIMIT most
    ), gone AS (
      DELETE FROM sync.check_failure f USING due
      WHERE (f.run_id, f.part, f.check_id, f.judge, f.n)
            = (due.run_id, due.part, due.check_id, due.judge, due.n) RETURNING 1
    )
    SELECT count(*), sha256(string_agg(sha256(convert_to(due.told, 'UTF8')), '' ORDER BY due.run_id,
                            due.part, due.check_id, due.judge, due.n)), min(due.at), max(due.at)
    INTO taken, digest, first_at, last_at FROM due, (SELECT count(*) FROM gone) g;
  ELSIF class = 'changes' THEN
    WITH due AS (
      SELECT c.id, c.at, to_jsonb(c)::text AS told FROM sync.change c
      WHERE c.at < before ORDER BY c.at, c.id LIMIT most
    ), gone AS (
      DELETE FROM sync.change c USING due WHERE c.id = due.id RETURNING 1
    )
    SELECT count(*), sha256(string_agg(sha256(convert_to(due.told, 'UTF8')), ''
                                       ORDER BY due.at, due.id)), min(due.at), max(due.at)
    INTO taken, digest, first_at, last_at FROM due, (SELECT count(*) FROM gone) g;
  ELSIF class = 'decisions' THEN
    WITH due AS (
      SELECT c.id, c.at, to_jsonb(c)::text AS told FROM sync.credit_decision c
      WHERE c.at < before ORDER BY c.at, c.id LIMIT most
    ), gone AS (
      DELETE FROM sync.credit_decision c USING due WHERE c.id = due.id RETURNING 1
    )
    SELECT count(*), sha256(string_agg(sha256(convert_to(due.told, 'UTF8')), ''
                                       ORDER BY due.at, due.id)), min(due.at), max(due.at)
    INTO taken, digest, first_at, last_at FROM due, (SELECT count(*) FROM gone) g;
  ELSIF class = 'messages' THEN
    WITH due AS (
      SELECT o.id, o.ended_at AS at,
             (SELECT string_agg(p.payload::text, '' ORDER BY p.version)
              FROM sync.outbox_payload p WHERE p.message_id = o.id) AS told
      FROM sync.outbox o
      WHERE o.state IN ('delivered', 'cancelled') AND NOT o.awaits_answer AND o.ended_at < before
        AND EXISTS (SELECT FROM sync.outbox_payload p WHERE p.message_id = o.id
                    AND p.payload <> '{"expired": true}')
      ORDER BY o.ended_at, o.id LIMIT most
    ), tries AS (
      UPDATE sync.delivery_attempt a SET request = NULL, answer = NULL, detail = NULL
      FROM due WHERE a.message_id = due.id RETURNING 1
    ), gone AS (
      UPDATE sync.outbox_payload p SET payload = '{"expired": true}'
      FROM due WHERE p.message_id = due.id RETURNING 1
    )
    SELECT count(*), sha256(string_agg(sha256(convert_to(coalesce(due.told, ''), 'UTF8')), ''
                                       ORDER BY due.at, due.id)), min(due.at), max(due.at)
    INTO taken, digest, first_at, last_at
    FROM due, (SELECT count(*) FROM tries) t, (SELECT count(*) FROM gone) g;
  ELSE
    RAISE EXCEPTION 'no class % of rows that expire', class;
  END IF;
  PERFORM set_config('waybill.expiring', '', true);
END $$;
REVOKE ALL ON FUNCTION sync.expire(text, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sync.expire(text, timestamptz, integer) TO waybill_sync;

GRANT SELECT, INSERT ON sync.check_failure, sync.live_comparison TO waybill_sync;
GRANT SELECT, INSERT, UPDATE ON sync.figure TO waybill_sync;
GRANT SELECT ON sync.check_day TO waybill_sync;
GRANT DELETE ON portal.dealer_contact, portal.dealer_address TO waybill_sync;
GRANT SELECT ON sync.check_failure, sync.check_day, sync.figure, sync.live_comparison
  TO waybill_review, waybill_auditor;
