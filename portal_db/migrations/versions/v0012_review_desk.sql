-- The review desk: quarantine in groups that are counted as it is written, corrections, fix jobs.

ALTER TABLE sync.quarantine
  ADD COLUMN dealer text,
  ADD COLUMN amount numeric,
  ADD COLUMN currency text,
  ADD COLUMN version integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN sync.quarantine.dealer IS 'whom the record is about, where it says so';
COMMENT ON COLUMN sync.quarantine.amount IS 'the amount its part is summed by, where it could be read';
COMMENT ON COLUMN sync.quarantine.version IS 'counts every change of the item: what a person saw';
CREATE INDEX quarantine_shape_idx ON sync.quarantine (shape, state, id);
CREATE INDEX quarantine_key_idx ON sync.quarantine (key text_pattern_ops);

CREATE TABLE sync.quarantine_group (
  shape text NOT NULL,
  erp text NOT NULL,
  feed text NOT NULL,
  part text NOT NULL,
  field text NOT NULL,
  code text NOT NULL,
  value_shape text,
  says text NOT NULL,
  example bigint NOT NULL,
  open_items bigint NOT NULL DEFAULT 0,
  waiting_items bigint NOT NULL DEFAULT 0,
  seen_items bigint NOT NULL DEFAULT 0,
  first_seen_at timestamptz NOT NULL,
  last_seen_at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'open',
  assignee text,
  tags text[] NOT NULL DEFAULT '{}',
  ignored_until timestamptz,
  ignored_items bigint,
  reason text,
  changed_at timestamptz,
  changed_by text,
  version integer NOT NULL DEFAULT 1,
  CONSTRAINT quarantine_group_pkey PRIMARY KEY (shape),
  CONSTRAINT quarantine_group_state CHECK (state IN ('open','acknowledged','ignored','resolved')),
  CONSTRAINT quarantine_group_counts CHECK (open_items >= 0 AND waiting_items >= 0)
);
COMMENT ON TABLE sync.quarantine_group IS 'Items of one fingerprint; counted by triggers of sync.quarantine.';
COMMENT ON COLUMN sync.quarantine_group.shape IS 'the fingerprint: erp, feed, part, field, code, value shape';
COMMENT ON COLUMN sync.quarantine_group.waiting_items IS 'open ones that only lack their parent so far';
COMMENT ON COLUMN sync.quarantine_group.ignored_items IS 'comes back when as many are open';
COMMENT ON COLUMN sync.quarantine_group.version IS 'counts what people did to it: what a person saw';
CREATE INDEX quarantine_group_seen_idx ON sync.quarantine_group (last_seen_at, shape) WHERE open_items > 0;
CREATE INDEX quarantine_group_open_idx ON sync.quarantine_group (open_items, shape) WHERE open_items > 0;
CREATE INDEX quarantine_group_feed_idx ON sync.quarantine_group (erp, feed, last_seen_at, shape);

CREATE TABLE sync.quarantine_day (
  shape text NOT NULL,
  day date NOT NULL,
  seen bigint NOT NULL,
  CONSTRAINT quarantine_day_pkey PRIMARY KEY (shape, day)
);
COMMENT ON TABLE sync.quarantine_day IS 'How often a fingerprint was seen on a day (UTC).';

CREATE TABLE sync.quarantine_dealer (
  shape text NOT NULL,
  dealer text NOT NULL,
  currency text NOT NULL,
  open_items bigint NOT NULL,
  amount numeric NOT NULL,
  CONSTRAINT quarantine_dealer_pkey PRIMARY KEY (shape, dealer, currency)
);
COMMENT ON TABLE sync.quarantine_dealer IS 'Whom open items of a fingerprint are about, and the money in them.';

-- Adds what changed to the groups: n rows changed cost n, however many there are.
CREATE FUNCTION sync.count_quarantine(shapes text[], open_n bigint[], waiting_n bigint[], seen_n bigint[])
  RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- one order for everybody: two runs never wait for each other in a circle
  PERFORM FROM sync.quarantine_group WHERE shape = ANY(shapes) ORDER BY shape FOR UPDATE;
  UPDATE sync.quarantine_group g SET
    open_items = g.open_items + d.open_n,
    waiting_items = g.waiting_items + d.waiting_n,
    seen_items = g.seen_items + d.seen_n,
    last_seen_at = CASE WHEN d.seen_n > 0 THEN now() ELSE g.last_seen_at END,
    state = CASE
      WHEN g.open_items + d.open_n = 0 AND g.state IN ('open','acknowledged') THEN 'resolved'
      WHEN g.state = 'resolved' AND g.open_items + d.open_n > 0 THEN 'open'
      WHEN g.state = 'ignored' AND d.open_n > 0 AND g.open_items + d.open_n >= g.ignored_items
        THEN 'open'
      ELSE g.state END
  FROM unnest(shapes, open_n, waiting_n, seen_n) AS d(shape, open_n, waiting_n, seen_n)
  WHERE g.shape = d.shape;
  INSERT INTO sync.quarantine_day AS t (shape, day, seen)
    SELECT d.shape, (now() AT TIME ZONE 'UTC')::date, d.seen_n
    FROM unnest(shapes, seen_n) AS d(shape, seen_n) WHERE d.seen_n > 0 ORDER BY 1
    ON CONFLICT (shape, day) DO UPDATE SET seen = t.seen + excluded.seen;
END $$;

CREATE FUNCTION sync.group_quarantine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO sync.quarantine_group (shape, erp, feed, part, field, code, value_shape, says, example,
      first_seen_at, last_seen_at, state)
    SELECT DISTINCT ON (a.shape) a.shape, a.erp, a.feed, coalesce(a.reasons -> 0 ->> 'part', a.part),
      coalesce(a.reasons -> 0 ->> 'field', ''), a.code,
      regexp_replace(regexp_replace(left(a.reasons -> 0 ->> 'raw', 60), '[[:alpha:]]', 'a', 'g'),
                     '[[:digit:]]', '9', 'g'),
      coalesce(a.reasons -> 0 ->> 'says', a.code), a.id, a.first_seen_at, a.last_seen_at, 'resolved'
    FROM after a WHERE NOT EXISTS (SELECT FROM sync.quarantine_group g WHERE g.shape = a.shape)
    ORDER BY a.shape, a.id DESC ON CONFLICT (shape) DO NOTHING;
  PERFORM sync.count_quarantine(array_agg(shape), array_agg(o), array_agg(w), array_agg(s)) FROM (
    SELECT shape, count(*) FILTER (WHERE state = 'open' AND retry_until IS NULL) AS o,
      count(*) FILTER (WHERE state = 'open' AND retry_until IS NOT NULL) AS w, count(*) AS s
    FROM after GROUP BY shape ORDER BY shape) d HAVING count(*) > 0;
  INSERT INTO sync.quarantine_dealer AS t (shape, dealer, currency, open_items, amount)
    SELECT shape, coalesce(dealer, ''), coalesce(currency, ''), count(*), coalesce(sum(amount), 0)
    FROM after WHERE state = 'open' AND (dealer IS NOT NULL OR amount IS NOT NULL)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (shape, dealer, currency) DO UPDATE
      SET open_items = t.open_items + excluded.open_items, amount = t.amount + excluded.amount;
  RETURN NULL;
END $$;

CREATE FUNCTION sync.regroup_quarantine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO sync.quarantine_group (shape, erp, feed, part, field, code, value_shape, says, example,
      first_seen_at, last_seen_at, state)
    SELECT DISTINCT ON (a.shape) a.shape, a.erp, a.feed, coalesce(a.reasons -> 0 ->> 'part', a.part),
      coalesce(a.reasons -> 0 ->> 'field', ''), a.code,
      regexp_replace(regexp_replace(left(a.reasons -> 0 ->> 'raw', 60), '[[:alpha:]]', 'a', 'g'),
                     '[[:digit:]]', '9', 'g'),
      coalesce(a.reasons -> 0 ->> 'says', a.code), a.id, a.last_seen_at, a.last_seen_at, 'resolved'
    FROM after a WHERE NOT EXISTS (SELECT FROM sync.quarantine_group g WHERE g.shape = a.shape)
    ORDER BY a.shape, a.id DESC ON CONFLICT (shape) DO NOTHING;
  PERFORM sync.count_quarantine(array_agg(shape), array_agg(o), array_agg(w), array_agg(s)) FROM (
    SELECT shape, sum(o)::bigint AS o, sum(w)::bigint AS w, sum(s)::bigint AS s FROM (
      SELECT shape, -count(*) FILTER (WHERE state = 'open' AND retry_until IS NULL) AS o,
        -count(*) FILTER (WHERE state = 'open' AND retry_until IS NOT NULL) AS w, 0 AS s
      FROM before GROUP BY shape
      UNION ALL
      SELECT a.shape, count(*) FILTER (WHERE a.state = 'open' AND a.retry_until IS NULL),
        count(*) FILTER (WHERE a.state = 'open' AND a.retry_until IS NOT NULL),
        count(*) FILTER (WHERE a.attempts > b.attempts)
      FROM after a JOIN before b ON b.id = a.id GROUP BY a.shape) both_sides
    GROUP BY shape HAVING sum(o) <> 0 OR sum(w) <> 0 OR sum(s) <> 0 ORDER BY shape) d
  HAVING count(*) > 0;
  INSERT INTO sync.quarantine_dealer AS t (shape, dealer, currency, open_items, amount)
    SELECT shape, dealer, currency, sum(n), sum(m) FROM (
      SELECT shape, coalesce(dealer, '') AS dealer, coalesce(currency, '') AS currency,
        -count(*) AS n, -coalesce(sum(amount), 0) AS m FROM before
      WHERE state = 'open' AND (dealer IS NOT NULL OR amount IS NOT NULL) GROUP BY 1, 2, 3
      UNION ALL
      SELECT shape, coalesce(dealer, ''), coalesce(currency, ''), count(*), coalesce(sum(amount), 0)
      FROM after
      WHERE state = 'open' AND (dealer IS NOT NULL OR amount IS NOT NULL) GROUP BY 1, 2, 3) both_sides
    GROUP BY 1, 2, 3 HAVING sum(n) <> 0 OR sum(m) <> 0 ORDER BY 1, 2, 3
    ON CONFLICT (shape, dealer, currency) DO UPDATE
      SET open_items = t.open_items + excluded.open_items, amount = t.amount + excluded.amount;
  RETURN NULL;
END $$;

-- whoever removes items that are still open (expiry removes closed ones) takes them out of the counts
CREATE FUNCTION sync.ungroup_quarantine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM sync.count_quarantine(array_agg(shape), array_agg(o), array_agg(w), array_agg(0::bigint))
  FROM (
    SELECT shape, -count(*) FILTER (WHERE retry_until IS NULL) AS o,
      -count(*) FILTER (WHERE retry_until IS NOT NULL) AS w
    FROM before WHERE state = 'open' GROUP BY shape ORDER BY shape) d HAVING count(*) > 0;
  INSERT INTO sync.quarantine_dealer AS t (shape, dealer, currency, open_items, amount)
    SELECT shape, coalesce(dealer, ''), coalesce(currency, ''), -count(*), -coalesce(sum(amount), 0)
    FROM before WHERE state = 'open' AND (dealer IS NOT NULL OR amount IS NOT NULL)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (shape, dealer, currency) DO UPDATE
      SET open_items = t.open_items + excluded.open_items, amount = t.amount + excluded.amount;
  RETURN NULL;
END $$;

-- what is there already
INSERT INTO sync.quarantine_group (shape, erp, feed, part, field, code, value_shape, says, example,
    first_seen_at, last_seen_at, open_items, waiting_items, seen_items, state)
  SELECT e.shape, e.erp, e.feed, coalesce(e.reasons -> 0 ->> 'part', e.part),
    coalesce(e.reasons -> 0 ->> 'field', ''), e.code,
    regexp_replace(regexp_replace(left(e.reasons -> 0 ->> 'raw', 60), '[[:alpha:]]', 'a', 'g'),
                   '[[:digit:]]', '9', 'g'),
    coalesce(e.reasons -> 0 ->> 'says', e.code), e.id, d.first_at, d.last_at, d.o, d.w, d.s,
    CASE WHEN d.o > 0 THEN 'open' ELSE 'resolved' END
  FROM (SELECT shape, max(id) AS example, min(first_seen_at) AS first_at, max(last_seen_at) AS last_at,
      count(*) FILTER (WHERE state = 'open' AND retry_until IS NULL) AS o,
      count(*) FILTER (WHERE state = 'open' AND retry_until IS NOT NULL) AS w, sum(attempts) AS s
    FROM sync.quarantine GROUP BY shape) d JOIN sync.quarantine e ON e.id = d.example;
INSERT INTO sync.quarantine_day (shape, day, seen)
  SELECT shape, (last_seen_at AT TIME ZONE 'UTC')::date, count(*) FROM sync.quarantine GROUP BY 1, 2;

CREATE TRIGGER quarantine_grouped AFTER INSERT ON sync.quarantine
  REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION sync.group_quarantine();
CREATE TRIGGER quarantine_regrouped AFTER UPDATE ON sync.quarantine
  REFERENCING OLD TABLE AS before NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION sync.regroup_quarantine();
CREATE TRIGGER quarantine_ungrouped AFTER DELETE ON sync.quarantine
  REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION sync.ungroup_quarantine();

-- a person's text in place of the ERP's, for one record as it came; the record itself stays
CREATE TABLE sync.correction (
  id bigint GENERATED ALWAYS AS IDENTITY,
  item_id bigint NOT NULL,
  erp text NOT NULL,
  feed text NOT NULL,
  part text NOT NULL,
  key text,
  record_no bigint NOT NULL,
  batch_id bigint NOT NULL,
  raw_hash bigint NOT NULL,
  fingerprint text NOT NULL,
  changes jsonb NOT NULL,
  was jsonb NOT NULL,
  actor text NOT NULL,
  reason text NOT NULL,
  job_id bigint,
  at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT correction_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE sync.correction IS 'Append-only; of one record the newest counts, and only under its fingerprint.';
COMMENT ON COLUMN sync.correction.part IS 'the part of the corrected record: the item''s own, or one of its children';
COMMENT ON COLUMN sync.correction.raw_hash IS 'of the corrected record as the ERP sent it';
COMMENT ON COLUMN sync.correction.changes IS 'path to new text';
COMMENT ON COLUMN sync.correction.was IS 'path to the ERP''s text';
CREATE INDEX correction_record_idx ON sync.correction (erp, feed, fingerprint, raw_hash);
CREATE INDEX correction_item_idx ON sync.correction (item_id);
CREATE TRIGGER correction_append_only BEFORE UPDATE OR DELETE ON sync.correction
  FOR EACH ROW EXECUTE FUNCTION sync.append_only();

CREATE TABLE sync.fix_job (
  id bigint GENERATED ALWAYS AS IDENTITY,
  kind text NOT NULL,
  erp text NOT NULL,
  feed text NOT NULL,
  shape text,
  correction jsonb,
  mapping text NOT NULL DEFAULT 'now',
  reason text NOT NULL,
  actor text NOT NULL,
  state text NOT NULL DEFAULT 'waiting',
  says text,
  canary integer NOT NULL DEFAULT 0,
  items bigint NOT NULL DEFAULT 0,
  succeeded bigint NOT NULL DEFAULT 0,
  failed bigint NOT NULL DEFAULT 0,
  skipped bigint NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL DEFAULT now(),
  worker text,
  lease_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  ended_at timestamptz,
  CONSTRAINT fix_job_pkey PRIMARY KEY (id),
  CONSTRAINT fix_job_kind CHECK (kind IN ('correct','retry','discard')),
  CONSTRAINT fix_job_mapping CHECK (mapping IN ('now','then')),
  CONSTRAINT fix_job_state CHECK (state IN ('waiting','running','paused','stopped','cancelled','done'))
);
COMMENT ON TABLE sync.fix_job IS 'What a person asked to be done to many items; carried on by whoever holds the lease.';
COMMENT ON COLUMN sync.fix_job.mapping IS 'judged under the mapping of now, or of the run that refused the record';
COMMENT ON COLUMN sync.fix_job.canary IS 'so many first; when one comes back with the same fingerprint the job stops';
CREATE INDEX fix_job_due_idx ON sync.fix_job (next_at) WHERE state IN ('waiting','running');

CREATE TABLE sync.fix_item (
  job_id bigint NOT NULL,
  item_id bigint NOT NULL,
  state text NOT NULL DEFAULT 'waiting',
  run_id bigint,
  says text,
  CONSTRAINT fix_item_pkey PRIMARY KEY (job_id, item_id),
  CONSTRAINT fix_item_state CHECK (state IN ('waiting','succeeded','failed','skipped'))
);
COMMENT ON TABLE sync.fix_item IS 'One item of a job, and what became of it.';
CREATE INDEX fix_item_state_idx ON sync.fix_item (job_id, state, item_id);
CREATE INDEX fix_item_item_idx ON sync.fix_item (item_id);

CREATE TABLE sync.desk_note (
  id bigint GENERATED ALWAYS AS IDENTITY,
  subject text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  actor text NOT NULL,
  says text NOT NULL,
  CONSTRAINT desk_note_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE sync.desk_note IS 'What people wrote about a group, an item or a message. Append-only.';
COMMENT ON COLUMN sync.desk_note.subject IS 'group <shape>, item <id>, message <id>';
CREATE INDEX desk_note_subject_idx ON sync.desk_note (subject, id);
CREATE TRIGGER desk_note_append_only BEFORE UPDATE OR DELETE ON sync.desk_note
  FOR EACH ROW EXECUTE FUNCTION sync.append_only();

GRANT SELECT, INSERT, UPDATE ON sync.quarantine_group, sync.quarantine_day, sync.quarantine_dealer,
  sync.fix_job, sync.fix_item TO waybill_sync;
GRANT SELECT, INSERT ON sync.correction, sync.desk_note TO waybill_sync;
GRANT SELECT ON sync.quarantine_group, sync.quarantine_day, sync.quarantine_dealer, sync.correction,
  sync.fix_job, sync.fix_item, sync.desk_note TO waybill_review, waybill_auditor;
