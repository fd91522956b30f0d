-- Who waits before whom in a lane, by the lane alone: an ERP's whole backlog is never walked.
DROP INDEX sync.outbox_lane_idx;
CREATE INDEX outbox_waiting_idx ON sync.outbox (lane, id) WHERE state IN ('pending','retryable');
