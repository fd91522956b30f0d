ALTER TABLE sync.batch ADD COLUMN sweep TEXT;
ALTER TABLE sync.batch ADD COLUMN read_seconds NUMERIC(12, 3);
COMMENT ON COLUMN sync.batch.sweep IS 'why a delta feed was read as a whole; NULL: it was not';
COMMENT ON COLUMN sync.batch.read_seconds IS 'from the beginning of the pull to its seal';
ALTER TABLE sync.batch_page ADD COLUMN declared BIGINT;
ALTER TABLE sync.batch_page ADD COLUMN going_on JSONB;
COMMENT ON COLUMN sync.batch_page.declared IS 'records in all, where the page says so';
COMMENT ON COLUMN sync.batch_page.going_on IS 'where an interrupted pull goes on behind this page';
CREATE TABLE sync.sweep (
	run_id BIGINT NOT NULL,
	batch_id BIGINT NOT NULL,
	erp TEXT NOT NULL,
	feed TEXT NOT NULL,
	cause TEXT NOT NULL,
	misses TEXT[] NOT NULL,
	complete BOOLEAN NOT NULL,
	compared BIGINT NOT NULL,
	missed_inserted BIGINT NOT NULL,
	missed_updated BIGINT NOT NULL,
	missed_deleted BIGINT NOT NULL,
	pending BIGINT NOT NULL,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT sweep_pkey PRIMARY KEY (run_id),
	CONSTRAINT sweep_counts CHECK (missed_inserted + missed_updated + missed_deleted + pending <= compared)
);
CREATE INDEX sweep_feed_idx ON sync.sweep (erp, feed, run_id);
COMMENT ON TABLE sync.sweep IS 'What full reads found that the deltas had missed: how far a cursor can be trusted.';
COMMENT ON COLUMN sync.sweep.cause IS 'schedule, asked or cursor_expired';
COMMENT ON COLUMN sync.sweep.misses IS 'what the mapping said then';
COMMENT ON COLUMN sync.sweep.complete IS 'false: vanished records were not looked for';
COMMENT ON COLUMN sync.sweep.compared IS 'accepted records, and live rows that were not among them';
COMMENT ON COLUMN sync.sweep.pending IS 'differs, but its stamp is one that the next delta asks for';
GRANT SELECT, INSERT, UPDATE ON sync.sweep TO waybill_sync;
GRANT SELECT ON sync.sweep TO waybill_review, waybill_auditor;
GRANT DELETE ON sync.batch_page TO waybill_sync;
