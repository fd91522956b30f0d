CREATE TABLE sync.credit_account (
	dealer_erp TEXT NOT NULL,
	account_key TEXT NOT NULL,
	CONSTRAINT credit_account_pkey PRIMARY KEY (dealer_erp, account_key)
);
COMMENT ON TABLE sync.credit_account IS 'One row an account that orders on credit: locked while an order of it is judged.';
CREATE TABLE sync.credit_decision (
	id BIGINT GENERATED ALWAYS AS IDENTITY,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	erp TEXT NOT NULL,
	dealer_erp TEXT NOT NULL,
	dealer_key TEXT NOT NULL,
	account_key TEXT NOT NULL,
	occasion TEXT NOT NULL,
	idempotency_key TEXT,
	request_sha256 TEXT,
	reference TEXT,
	currency TEXT NOT NULL,
	order_gross NUMERIC(18, 4),
	outcome TEXT NOT NULL,
	reason TEXT,
	shortage NUMERIC(18, 4) NOT NULL,
	pay_now NUMERIC(18, 4) NOT NULL,
	live BOOLEAN NOT NULL,
	not_live_because TEXT,
	as_of TIMESTAMP WITH TIME ZONE,
	figures JSONB NOT NULL,
	rules JSONB NOT NULL,
	steps JSONB NOT NULL,
	CONSTRAINT credit_decision_pkey PRIMARY KEY (id),
	CONSTRAINT credit_decision_occasion CHECK (occasion IN ('order','approval')),
	CONSTRAINT credit_decision_outcome CHECK (outcome IN ('ok','notice','warn','partial','payment_required','route','hard_block'))
);
CREATE INDEX credit_decision_account_idx ON sync.credit_decision (dealer_erp, account_key, id);
CREATE INDEX credit_decision_reference_idx ON sync.credit_decision (reference) WHERE reference IS NOT NULL;
CREATE INDEX credit_decision_request_idx ON sync.credit_decision (dealer_erp, dealer_key, idempotency_key) WHERE reference IS NOT NULL;
COMMENT ON TABLE sync.credit_decision IS 'Every judgement of an order''s credit, step by step. Append-only.';
COMMENT ON COLUMN sync.credit_decision.erp IS 'whose credit it is';
COMMENT ON COLUMN sync.credit_decision.idempotency_key IS 'the caller''s; NULL at an approval';
COMMENT ON COLUMN sync.credit_decision.request_sha256 IS 'of what the caller asked for';
COMMENT ON COLUMN sync.credit_decision.reference IS 'the order; NULL: it was not placed';
COMMENT ON COLUMN sync.credit_decision.order_gross IS 'NULL: not in the account''s currency, no rate';
COMMENT ON COLUMN sync.credit_decision.as_of IS 'when the figures held; NULL: there were none';
COMMENT ON COLUMN sync.credit_decision.figures IS 'what the ERP or the portal knew, orders in flight by reference';
COMMENT ON COLUMN sync.credit_decision.rules IS 'the mapping''s rules of then';
CREATE TABLE sync.webhook_event (
	erp TEXT NOT NULL,
	event_id TEXT NOT NULL,
	received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	resource TEXT NOT NULL,
	change TEXT NOT NULL,
	feed TEXT,
	state TEXT NOT NULL,
	times INTEGER DEFAULT '1' NOT NULL,
	handled_at TIMESTAMP WITH TIME ZONE,
	says TEXT,
	CONSTRAINT webhook_event_pkey PRIMARY KEY (erp, event_id),
	CONSTRAINT webhook_event_state CHECK (state IN ('received','woken','ignored'))
);
CREATE INDEX webhook_event_open_idx ON sync.webhook_event (received_at) WHERE state = 'received';
COMMENT ON TABLE sync.webhook_event IS 'What an ERP called us about, once an event: a call that comes again counts here and does nothing.';
COMMENT ON COLUMN sync.webhook_event.times IS 'how often it was sent';
COMMENT ON COLUMN sync.webhook_event.feed IS 'NULL: about nothing that the mapping names';
CREATE TABLE sync.webhook_subscription (
	erp TEXT NOT NULL,
	resource TEXT NOT NULL,
	subscription_id TEXT,
	url TEXT NOT NULL,
	etag TEXT,
	renewed_at TIMESTAMP WITH TIME ZONE,
	expires_at TIMESTAMP WITH TIME ZONE,
	failures INTEGER DEFAULT '0' NOT NULL,
	says TEXT,
	changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT webhook_subscription_pkey PRIMARY KEY (erp, resource)
);
COMMENT ON TABLE sync.webhook_subscription IS 'What we asked an ERP to call us about, and until when it will.';
COMMENT ON COLUMN sync.webhook_subscription.subscription_id IS 'the ERP''s; NULL: not subscribed now';
COMMENT ON COLUMN sync.webhook_subscription.failures IS 'in a row';
CREATE TABLE sync.gateway_life (
	name TEXT NOT NULL,
	alive_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT gateway_life_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE sync.gateway_life IS 'When the gateway last took calls: how long it did not is seen at its next start.';
CREATE TABLE sync.alert (
	fingerprint TEXT NOT NULL,
	kind TEXT NOT NULL,
	erp TEXT,
	feed TEXT,
	state TEXT NOT NULL,
	says TEXT NOT NULL,
	remedy TEXT,
	times BIGINT NOT NULL,
	first_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	last_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	recovered_at TIMESTAMP WITH TIME ZONE,
	told_times BIGINT DEFAULT '0' NOT NULL,
	told_state TEXT,
	told_at TIMESTAMP WITH TIME ZONE,
	claimed_until TIMESTAMP WITH TIME ZONE,
	CONSTRAINT alert_pkey PRIMARY KEY (fingerprint),
	CONSTRAINT alert_state CHECK (state IN ('open','recovered')),
	CONSTRAINT alert_recovered CHECK ((state = 'recovered') = (recovered_at IS NOT NULL))
);
COMMENT ON TABLE sync.alert IS 'What people are told of: one row a fingerprint, told when it begins, grows tenfold, and ends.';
COMMENT ON COLUMN sync.alert.times IS 'since it began';
COMMENT ON COLUMN sync.alert.told_times IS 'times when people were last told';
COMMENT ON COLUMN sync.alert.told_state IS 'state when people were last told';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON sync.credit_decision
  FOR EACH ROW EXECUTE FUNCTION sync.refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON sync.credit_decision
  FOR EACH STATEMENT EXECUTE FUNCTION sync.refuse_change();

GRANT SELECT, INSERT, UPDATE ON sync.credit_account, sync.webhook_event, sync.webhook_subscription,
  sync.gateway_life, sync.alert TO waybill_sync;
GRANT SELECT, INSERT ON sync.credit_decision TO waybill_sync;
GRANT USAGE ON SEQUENCE sync.credit_decision_id_seq TO waybill_sync;
GRANT DELETE ON sync.webhook_event TO waybill_sync;
GRANT SELECT ON sync.credit_account, sync.credit_decision, sync.webhook_event,
  sync.webhook_subscription, sync.gateway_life, sync.alert TO waybill_review, waybill_auditor;
