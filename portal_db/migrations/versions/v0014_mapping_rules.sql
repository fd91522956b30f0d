-- Corrections that people want made every time: proposed mapping changes, decided by a second person.

CREATE TABLE sync.mapping_rule (
  id bigint GENERATED ALWAYS AS IDENTITY,
  erp text NOT NULL,
  feed text NOT NULL,
  part text NOT NULL,
  correction jsonb NOT NULL,
  until date NOT NULL,
  job_id bigint NOT NULL,
  state text NOT NULL DEFAULT 'proposed',
  records bigint NOT NULL,
  passed_before bigint NOT NULL,
  passed_with bigint NOT NULL,
  proposed_by text NOT NULL,
  proposed_at timestamptz NOT NULL DEFAULT now(),
  reason text NOT NULL,
  decided_by text,
  decided_at timestamptz,
  decided_reason text,
  mapping_sha256 text,
  diff text,
  CONSTRAINT mapping_rule_pkey PRIMARY KEY (id),
  CONSTRAINT mapping_rule_state CHECK (state IN ('proposed','approved','refused')),
  CONSTRAINT mapping_rule_decided CHECK ((state = 'proposed') = (decided_by IS NULL)),
  CONSTRAINT mapping_rule_two_people CHECK (state <> 'approved' OR decided_by <> proposed_by),
  CONSTRAINT mapping_rule_diff CHECK ((state = 'approved') = (diff IS NOT NULL))
);
COMMENT ON TABLE sync.mapping_rule IS 'Corrections proposed as changes of a mapping; whether one is in force is said by the mapping itself.';
COMMENT ON COLUMN sync.mapping_rule.job_id IS 'the fix job whose correction it was';
COMMENT ON COLUMN sync.mapping_rule.records IS 'records of that job that it was tried on';
COMMENT ON COLUMN sync.mapping_rule.passed_before IS 'of these: pass their own checks under the mapping as it stood';
COMMENT ON COLUMN sync.mapping_rule.passed_with IS 'of these: pass with the change';
COMMENT ON COLUMN sync.mapping_rule.mapping_sha256 IS 'of the mapping''s text that the approved diff changes';
CREATE UNIQUE INDEX mapping_rule_once_idx ON sync.mapping_rule (erp, feed, part, correction) WHERE state = 'proposed';

GRANT SELECT, INSERT, UPDATE ON sync.mapping_rule TO waybill_sync;
GRANT SELECT ON sync.mapping_rule TO waybill_review, waybill_auditor;
