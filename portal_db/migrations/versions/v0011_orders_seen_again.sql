-- What an order means for stock and for its dealer once the ERP has it.

-- The ERP's own feed shows it under our reference: it is delivered, whatever we were about to do.
CREATE OR REPLACE FUNCTION sync.legal_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  moves constant jsonb := '{
    "pending": ["sending", "delivered", "dead", "cancelled"],
    "sending": ["delivered", "retryable", "uncertain", "dead"],
    "retryable": ["sending", "delivered", "dead", "cancelled"],
    "uncertain": ["delivered", "retryable", "dead"],
    "dead": ["delivered", "uncertain", "retryable", "cancelled"],
    "delivered": [], "cancelled": []}';
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'pending' OR NEW.tries <> 0 THEN
      RAISE EXCEPTION 'a message begins as pending' USING ERRCODE = 'WB020';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.id, NEW.kind, NEW.erp, NEW.reference, NEW.subject, NEW.lane, NEW.portal_dealer_id,
      NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.kind, OLD.erp, OLD.reference, OLD.subject,
      OLD.lane, OLD.portal_dealer_id, OLD.created_at) THEN
    RAISE EXCEPTION 'message %: what it is about cannot change', OLD.id USING ERRCODE = 'WB020';
  END IF;
  IF NEW.tries < OLD.tries OR NEW.attempts < OLD.attempts OR NEW.strikes < OLD.strikes
     OR NEW.payload_version < OLD.payload_version
     OR (OLD.sent_at IS NOT NULL AND NEW.sent_at IS DISTINCT FROM OLD.sent_at) THEN
    RAISE EXCEPTION 'message %: what was tried cannot be untried', OLD.id USING ERRCODE = 'WB020';
  END IF;
  IF NEW.state = OLD.state THEN
    RETURN NEW;
  END IF;
  IF NOT (moves -> OLD.state) ? NEW.state THEN
    RAISE EXCEPTION 'message %: % cannot become %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'WB020';
  END IF;
  -- Once a byte may have left, another send needs a proof that the ERP has nothing.
  IF OLD.state IN ('uncertain', 'dead') AND NEW.state = 'retryable' AND OLD.sent_at IS NOT NULL
     AND NEW.not_found < 2 AND NEW.cleared_by IS NULL THEN
    RAISE EXCEPTION 'message %: nobody has proved that the ERP has it not', OLD.id
      USING ERRCODE = 'WB020';
  END IF;
  IF NEW.state = 'sending' THEN  -- a proof holds for one send
    NEW.not_found := 0;
    NEW.cleared_by := NULL;
  END IF;
  IF NEW.state <> 'sending' THEN
    NEW.worker := NULL;
    NEW.lease_until := NULL;
  END IF;
  RETURN NEW;
END $$;

CREATE INDEX stock_hold_acknowledged_idx
  ON portal.stock_hold (erp, product_key, warehouse_key, ended_at)
  WHERE ended_because = 'acknowledged';

-- A line that the ERP refused keeps nothing, though the order was taken.
CREATE OR REPLACE FUNCTION portal.end_holds(ref text, because text) RETURNS void
  LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  UPDATE portal.stock_hold h SET ended_at = now(), ended_because = CASE
      WHEN because = 'acknowledged' AND EXISTS (
        SELECT FROM portal.order_request_line l WHERE l.reference = h.reference
        AND l.line_no = h.line_no AND l.outcome = 'rejected') THEN 'rejected'
      ELSE because END
    WHERE h.reference = ref AND h.ended_at IS NULL
$$;

-- The hold ends when the ERP acknowledges. A figure that was taken before that does not contain the
-- order yet: until a later one has come, what was acknowledged since is still taken off.
CREATE OR REPLACE VIEW portal.stock_available AS
SELECT s.erp, s.product_key, s.warehouse_key, s.on_hand, s.reserved, coalesce(h.held, 0) AS held,
       greatest(coalesce(s.available, s.on_hand - coalesce(s.reserved, 0)) - coalesce(h.held, 0), 0)
         AS available,
       s.as_of, s.stale_since
FROM portal.stock s
LEFT JOIN LATERAL (
  SELECT sum(k.qty) AS held FROM (
    SELECT o.qty FROM portal.stock_hold o
    WHERE o.erp = s.erp AND o.product_key = s.product_key AND o.warehouse_key = s.warehouse_key
      AND o.ended_at IS NULL
    UNION ALL
    SELECT a.qty FROM portal.stock_hold a
    WHERE a.erp = s.erp AND a.product_key = s.product_key AND a.warehouse_key = s.warehouse_key
      AND a.ended_because = 'acknowledged' AND a.ended_at > greatest(s.as_of, (
        -- an unchanged row is not rewritten: the last batch applied to its scope speaks for it too
        SELECT newest.pulled_at FROM sync.batch own
        JOIN sync.cursor c ON c.erp = own.erp AND c.feed = own.feed AND c.scope_key = own.scope_key
        JOIN sync.batch newest ON newest.id = c.batch_id
        WHERE own.id = s.batch_id))) k) h ON true
WHERE s.deleted_at IS NULL;

-- Each line of an order as its dealer reads it: what was asked, what the ERP answered, how far it is.
-- A line may stand in several orders of the ERP (a back order): the slowest part speaks for it.
CREATE VIEW portal.dealer_order_line WITH (security_invoker = true) AS
SELECT l.reference, l.line_no, l.portal_dealer_id, l.product_erp, l.product_key, l.warehouse_key,
       l.qty, l.uom, l.unit_price, l.per, l.gross, l.outcome,
       coalesce(e.qty_confirmed, l.qty_confirmed) AS qty_confirmed, l.unit_price_confirmed,
       coalesce(e.expected_on, l.expected_on) AS expected_on, coalesce(e.reason, l.reason) AS reason,
       e.status AS erp_status, e.qty_shipped, e.qty_cancelled
FROM portal.order_request_line l
JOIN portal.order_request r ON r.reference = l.reference
LEFT JOIN LATERAL (
  SELECT sum(x.qty_confirmed) AS qty_confirmed, sum(x.qty_shipped) AS qty_shipped,
    sum(x.qty_cancelled) AS qty_cancelled, max(x.expected_on) AS expected_on,
    string_agg(DISTINCT x.reason, '; ') AS reason,
    (array_agg(coalesce(x.status, o.status) ORDER BY array_position(ARRAY['held', 'pending',
      'approved', 'processing', 'shipped', 'delivered', 'cancelled', 'rejected'],
      coalesce(x.status, o.status)), o.key))[1] AS status
  FROM portal.sales_order o
  JOIN portal.sales_order_line x ON x.erp = o.erp AND x.order_key = o.key AND x.deleted_at IS NULL
  WHERE o.erp = r.erp AND o.portal_ref = r.reference AND o.deleted_at IS NULL
    AND CASE WHEN x.portal_line ~ '^0*[0-9]{1,9}$' THEN x.portal_line::numeric END = l.line_no
  ) e ON true;

GRANT SELECT ON portal.dealer_order_line
  TO waybill_portal_app, waybill_sync, waybill_review, waybill_auditor;

-- What is owed to a dealer is found by the dealer: every lane names one, so the ERP need not lead.
DROP INDEX sync.outbox_lane_idx;
CREATE INDEX outbox_lane_idx ON sync.outbox (lane, id)
  WHERE state IN ('pending','sending','retryable');
