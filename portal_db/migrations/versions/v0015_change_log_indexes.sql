-- an index over millions of rows takes longer than any other statement of a migration
SET LOCAL statement_timeout = '30min';

-- Rows of the change log come in the order of time: what a period or a run changed lies together,
-- and the summary of a range of pages finds it. Each row then costs two entries instead of four.
DROP INDEX sync.change_run_idx;
DROP INDEX sync.change_at_idx;
CREATE INDEX change_at_idx ON sync.change USING brin (at, run_id) WITH (autosummarize = on);

-- what is oldest has the smallest ids: its primary key brings it in order, and stops when it may
DO $$
DECLARE
  was text := pg_get_functiondef('sync.expire(text, timestamptz, integer)'::regprocedure);
  becomes text := regexp_replace(was,
    '(FROM sync\.change c\s+WHERE c\.at < before) ORDER BY c\.at, c\.id LIMIT most',
    '\1 ORDER BY c.id LIMIT most');
BEGIN
  IF becomes = was THEN
    RAISE EXCEPTION 'sync.expire is not the function that this migration changes';
  END IF;
  EXECUTE becomes;
END $$;
