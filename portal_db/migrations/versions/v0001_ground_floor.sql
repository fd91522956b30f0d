CREATE SEQUENCE portal.portal_dealer_id;
CREATE TABLE portal.catalogue_grant (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	dealer_scope TEXT NOT NULL,
	dealer_key TEXT,
	dealer_group_kind TEXT,
	product_scope TEXT NOT NULL,
	product_key TEXT,
	effect TEXT NOT NULL,
	licence TEXT,
	valid_from DATE NOT NULL,
	valid_to DATE,
	dealer_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT catalogue_grant_pkey PRIMARY KEY (erp, key)
);
COMMENT ON TABLE portal.catalogue_grant IS 'Who may see and buy what; deny wins.';
COMMENT ON COLUMN portal.catalogue_grant.key IS 'the ERP''s key of the grant';
COMMENT ON COLUMN portal.catalogue_grant.dealer_scope IS 'for whom';
COMMENT ON COLUMN portal.catalogue_grant.dealer_key IS 'dealer or group key, unless all';
COMMENT ON COLUMN portal.catalogue_grant.dealer_group_kind IS 'when group';
COMMENT ON COLUMN portal.catalogue_grant.product_scope IS 'what';
COMMENT ON COLUMN portal.catalogue_grant.product_key IS 'SKU or category key, unless all';
COMMENT ON COLUMN portal.catalogue_grant.effect IS 'allow or deny';
COMMENT ON COLUMN portal.catalogue_grant.licence IS 'licence needed for regulated goods';
COMMENT ON COLUMN portal.catalogue_grant.valid_from IS 'first day';
COMMENT ON COLUMN portal.catalogue_grant.valid_to IS 'first day after';
CREATE TABLE portal.category (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	parent_key TEXT,
	name TEXT NOT NULL,
	sort BIGINT,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT category_pkey PRIMARY KEY (erp, key)
);
COMMENT ON TABLE portal.category IS 'A node of the navigation tree; a missing parent or a cycle is a rejection.';
COMMENT ON COLUMN portal.category.key IS 'the ERP''s category key';
COMMENT ON COLUMN portal.category.parent_key IS 'the category above';
COMMENT ON COLUMN portal.category.name IS 'name';
COMMENT ON COLUMN portal.category.sort IS 'order among its siblings';
CREATE TABLE portal.credit (
	erp TEXT NOT NULL,
	account_key TEXT NOT NULL,
	currency TEXT NOT NULL,
	limit_amount NUMERIC(18, 4),
	unlimited BOOLEAN NOT NULL,
	soft_limit NUMERIC(18, 4),
	limit_valid_to DATE,
	open_balance NUMERIC(18, 4) NOT NULL,
	pending NUMERIC(18, 4),
	pending_refs TEXT[],
	overdue NUMERIC(18, 4),
	oldest_due_on DATE,
	unapplied NUMERIC(18, 4),
	on_hold BOOLEAN NOT NULL,
	hold_reason TEXT,
	risk_class TEXT,
	avg_days_late NUMERIC(18, 6),
	last_paid_on DATE,
	last_paid_amount NUMERIC(18, 4),
	calculated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	dealer_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT credit_pkey PRIMARY KEY (erp, account_key, currency)
);
COMMENT ON TABLE portal.credit IS 'Limit and exposure of a paying account in one currency.';
COMMENT ON COLUMN portal.credit.account_key IS 'the paying account, a dealer key';
COMMENT ON COLUMN portal.credit.currency IS 'currency of every amount here';
COMMENT ON COLUMN portal.credit.limit_amount IS 'NULL = unknown, never auto-approves; 0 = prepay';
COMMENT ON COLUMN portal.credit.unlimited IS 'true only if the ERP says so; then limit_amount is NULL';
COMMENT ON COLUMN portal.credit.soft_limit IS 'warn above it';
COMMENT ON COLUMN portal.credit.limit_valid_to IS 'from this day on the limit is unknown';
COMMENT ON COLUMN portal.credit.open_balance IS 'gross, net of all payments; may be negative';
COMMENT ON COLUMN portal.credit.pending IS 'gross, approved and not invoiced; NULL = not told';
COMMENT ON COLUMN portal.credit.pending_refs IS 'our order references contained in pending';
COMMENT ON COLUMN portal.credit.overdue IS 'the ERP''s figure, to reconcile';
COMMENT ON COLUMN portal.credit.oldest_due_on IS 'the ERP''s figure, to reconcile';
COMMENT ON COLUMN portal.credit.unapplied IS 'payments and credits on account';
COMMENT ON COLUMN portal.credit.on_hold IS 'the ERP blocks this account';
COMMENT ON COLUMN portal.credit.hold_reason IS 'why';
COMMENT ON COLUMN portal.credit.risk_class IS 'picks the credit policy';
COMMENT ON COLUMN portal.credit.avg_days_late IS 'payment behaviour';
COMMENT ON COLUMN portal.credit.last_paid_on IS 'payment behaviour';
COMMENT ON COLUMN portal.credit.last_paid_amount IS 'payment behaviour';
COMMENT ON COLUMN portal.credit.calculated_at IS 'when the ERP worked it out';
CREATE TABLE portal.dealer (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	name TEXT NOT NULL,
	status TEXT NOT NULL,
	parent_key TEXT,
	account_key TEXT NOT NULL,
	credit_account_key TEXT,
	order_block BOOLEAN,
	order_block_reason TEXT,
	dealer_type TEXT,
	region TEXT,
	country TEXT,
	contract_type TEXT,
	currency TEXT NOT NULL,
	language TEXT,
	tax_no TEXT,
	tax_zone TEXT,
	terms_code TEXT,
	terms_text TEXT,
	payment_days BIGINT,
	discount_days BIGINT,
	discount_pct NUMERIC(9, 6),
	standard_discount_pct NUMERIC(9, 6),
	min_order_amount NUMERIC(18, 4),
	partial_delivery BOOLEAN,
	warehouse_key TEXT,
	delivery_method TEXT,
	sales_rep_key TEXT,
	sales_rep_name TEXT,
	sales_rep_email TEXT,
	opened_on DATE,
	attributes JSONB,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT dealer_pkey PRIMARY KEY (erp, key)
);
COMMENT ON TABLE portal.dealer IS 'A customer of the distributor who may sign in and order.';
COMMENT ON COLUMN portal.dealer.key IS 'the ERP''s customer number';
COMMENT ON COLUMN portal.dealer.name IS 'company name';
COMMENT ON COLUMN portal.dealer.status IS 'closed dealers keep history and lose log-in';
COMMENT ON COLUMN portal.dealer.parent_key IS 'organisational parent; rights inherit along it';
COMMENT ON COLUMN portal.dealer.account_key IS 'the paying account; itself when it pays for itself';
COMMENT ON COLUMN portal.dealer.credit_account_key IS 'where credit is held, when not at the payer';
COMMENT ON COLUMN portal.dealer.order_block IS 'the ERP forbids new orders, credit hold aside';
COMMENT ON COLUMN portal.dealer.order_block_reason IS 'why, when order_block is true';
COMMENT ON COLUMN portal.dealer.dealer_type IS 'distributor, wholesaler, retailer …';
COMMENT ON COLUMN portal.dealer.region IS 'price and approval region';
COMMENT ON COLUMN portal.dealer.country IS 'ISO 3166-1 alpha-2';
COMMENT ON COLUMN portal.dealer.contract_type IS 'standard, special agreement, tender';
COMMENT ON COLUMN portal.dealer.currency IS 'the dealer''s currency';
COMMENT ON COLUMN portal.dealer.language IS 'BCP 47';
COMMENT ON COLUMN portal.dealer.tax_no IS 'tax number';
COMMENT ON COLUMN portal.dealer.tax_zone IS 'tax zone';
COMMENT ON COLUMN portal.dealer.terms_code IS 'payment terms, the ERP''s code';
COMMENT ON COLUMN portal.dealer.terms_text IS 'payment terms in words';
COMMENT ON COLUMN portal.dealer.payment_days IS 'net days; the rule for due_on where none is given';
COMMENT ON COLUMN portal.dealer.discount_days IS 'early-payment discount, days';
COMMENT ON COLUMN portal.dealer.discount_pct IS 'early-payment discount, percent';
COMMENT ON COLUMN portal.dealer.standard_discount_pct IS 'off list on everything; 0 = none';
COMMENT ON COLUMN portal.dealer.min_order_amount IS 'net; below it an approval trigger';
COMMENT ON COLUMN portal.dealer.partial_delivery IS 'may an order be split';
COMMENT ON COLUMN portal.dealer.warehouse_key IS 'default warehouse';
COMMENT ON COLUMN portal.dealer.delivery_method IS 'how goods travel';
COMMENT ON COLUMN portal.dealer.sales_rep_key IS 'approval level 1';
COMMENT ON COLUMN portal.dealer.sales_rep_name IS 'approval level 1, name';
COMMENT ON COLUMN portal.dealer.sales_rep_email IS 'approval level 1, e-mail';
COMMENT ON COLUMN portal.dealer.opened_on IS 'customer since; new-dealer trigger';
COMMENT ON COLUMN portal.dealer.attributes IS 'what the model has no place for';
CREATE TABLE portal.dealer_account (
	erp TEXT NOT NULL,
	dealer_key TEXT NOT NULL,
	portal_dealer_id BIGINT DEFAULT nextval('portal.portal_dealer_id') NOT NULL,
	since_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	joined_by TEXT,
	CONSTRAINT dealer_account_pkey PRIMARY KEY (erp, dealer_key)
);
COMMENT ON TABLE portal.dealer_account IS 'Which dealers of which ERPs one portal dealer owns; 1:1 until an operator joins them.';
CREATE TABLE portal.dealer_address (
	erp TEXT NOT NULL,
	dealer_key TEXT NOT NULL,
	account_key TEXT,
	key TEXT NOT NULL,
	kind TEXT NOT NULL,
	name TEXT,
	line1 TEXT NOT NULL,
	line2 TEXT,
	line3 TEXT,
	postcode TEXT,
	city TEXT NOT NULL,
	region TEXT,
	country TEXT NOT NULL,
	phone TEXT,
	instructions TEXT,
	is_default BOOLEAN,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT dealer_address_pkey PRIMARY KEY (erp, dealer_key, key)
);
COMMENT ON TABLE portal.dealer_address IS 'Where a dealer''s goods, bills and letters go.';
COMMENT ON COLUMN portal.dealer_address.dealer_key IS 'the dealer';
COMMENT ON COLUMN portal.dealer_address.account_key IS 'its account';
COMMENT ON COLUMN portal.dealer_address.key IS 'the ERP''s address key';
COMMENT ON COLUMN portal.dealer_address.kind IS 'what it is for';
COMMENT ON COLUMN portal.dealer_address.name IS 'name on the label';
COMMENT ON COLUMN portal.dealer_address.line1 IS 'first line';
COMMENT ON COLUMN portal.dealer_address.line2 IS 'second line';
COMMENT ON COLUMN portal.dealer_address.line3 IS 'third line';
COMMENT ON COLUMN portal.dealer_address.postcode IS 'never a number';
COMMENT ON COLUMN portal.dealer_address.city IS 'city';
COMMENT ON COLUMN portal.dealer_address.region IS 'region';
COMMENT ON COLUMN portal.dealer_address.country IS 'ISO 3166-1 alpha-2';
COMMENT ON COLUMN portal.dealer_address.phone IS 'phone';
COMMENT ON COLUMN portal.dealer_address.instructions IS 'delivery instructions';
COMMENT ON COLUMN portal.dealer_address.is_default IS 'the dealer''s default of this kind';
CREATE TABLE portal.dealer_contact (
	erp TEXT NOT NULL,
	dealer_key TEXT NOT NULL,
	account_key TEXT,
	key TEXT NOT NULL,
	name TEXT NOT NULL,
	email TEXT,
	phone TEXT,
	language TEXT,
	role TEXT,
	is_primary BOOLEAN,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT dealer_contact_pkey PRIMARY KEY (erp, dealer_key, key)
);
COMMENT ON TABLE portal.dealer_contact IS 'A person at a dealer; may be contact of several dealers.';
COMMENT ON COLUMN portal.dealer_contact.dealer_key IS 'the dealer';
COMMENT ON COLUMN portal.dealer_contact.account_key IS 'its account';
COMMENT ON COLUMN portal.dealer_contact.key IS 'the ERP''s contact key';
COMMENT ON COLUMN portal.dealer_contact.name IS 'name';
COMMENT ON COLUMN portal.dealer_contact.email IS 'e-mail';
COMMENT ON COLUMN portal.dealer_contact.phone IS 'phone';
COMMENT ON COLUMN portal.dealer_contact.language IS 'BCP 47';
COMMENT ON COLUMN portal.dealer_contact.role IS 'purchasing, accounts …';
COMMENT ON COLUMN portal.dealer_contact.is_primary IS 'first contact';
CREATE TABLE portal.dealer_group (
	erp TEXT NOT NULL,
	dealer_key TEXT NOT NULL,
	account_key TEXT,
	kind TEXT NOT NULL,
	group_key TEXT NOT NULL,
	group_name TEXT,
	category_key TEXT,
	category_slot TEXT NOT NULL,
	priority BIGINT,
	valid_from DATE NOT NULL,
	valid_to DATE,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT dealer_group_pkey PRIMARY KEY (erp, dealer_key, kind, group_key, category_slot, valid_from)
);
COMMENT ON TABLE portal.dealer_group IS 'Everything a price, grant or rule may address a dealer by.';
COMMENT ON COLUMN portal.dealer_group.dealer_key IS 'the dealer';
COMMENT ON COLUMN portal.dealer_group.account_key IS 'its account';
COMMENT ON COLUMN portal.dealer_group.kind IS 'what sort of group';
COMMENT ON COLUMN portal.dealer_group.group_key IS 'e.g. GOLD, B, C7';
COMMENT ON COLUMN portal.dealer_group.group_name IS 'its name';
COMMENT ON COLUMN portal.dealer_group.category_key IS 'tier for this product category only';
COMMENT ON COLUMN portal.dealer_group.category_slot IS 'category_key or ''''';
COMMENT ON COLUMN portal.dealer_group.priority IS 'low wins when a dealer is in two of a kind';
COMMENT ON COLUMN portal.dealer_group.valid_from IS 'first day';
COMMENT ON COLUMN portal.dealer_group.valid_to IS 'first day after';
CREATE TABLE portal.document (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	kind TEXT NOT NULL,
	number TEXT,
	account_key TEXT NOT NULL,
	dealer_key TEXT,
	subject TEXT NOT NULL,
	subject_key TEXT NOT NULL,
	issued_on DATE NOT NULL,
	format TEXT NOT NULL,
	language TEXT,
	location TEXT NOT NULL,
	retain_until DATE,
	dealer_erp TEXT NOT NULL,
	state TEXT NOT NULL,
	sha256 TEXT,
	bytes BIGINT,
	media_type TEXT,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT document_pkey PRIMARY KEY (erp, key),
	CONSTRAINT document_state CHECK (state IN ('present', 'pending', 'missing'))
);
CREATE INDEX document_subject_key_idx ON portal.document (subject, subject_key);
COMMENT ON TABLE portal.document IS 'A file that belongs to an invoice, order, payment … and its state here.';
COMMENT ON COLUMN portal.document.key IS 'the ERP''s key';
COMMENT ON COLUMN portal.document.kind IS 'what it is';
COMMENT ON COLUMN portal.document.number IS 'printed number';
COMMENT ON COLUMN portal.document.account_key IS 'who may see it';
COMMENT ON COLUMN portal.document.dealer_key IS 'who bought';
COMMENT ON COLUMN portal.document.subject IS 'what it is about';
COMMENT ON COLUMN portal.document.subject_key IS 'key of the subject';
COMMENT ON COLUMN portal.document.issued_on IS 'date of issue';
COMMENT ON COLUMN portal.document.format IS 'file format';
COMMENT ON COLUMN portal.document.language IS 'BCP 47';
COMMENT ON COLUMN portal.document.location IS 'where the ERP keeps it: URL, path or key';
COMMENT ON COLUMN portal.document.retain_until IS 'keep at least until';
CREATE TABLE portal.invoice (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	number TEXT NOT NULL,
	kind TEXT NOT NULL,
	account_key TEXT NOT NULL,
	dealer_key TEXT,
	order_key TEXT,
	customer_ref TEXT,
	issued_on DATE NOT NULL,
	due_on DATE,
	due_on_computed BOOLEAN,
	currency TEXT NOT NULL,
	net NUMERIC(18, 4),
	tax NUMERIC(18, 4),
	gross NUMERIC(18, 4) NOT NULL,
	open_amount NUMERIC(18, 4) NOT NULL,
	settled_on DATE,
	disputed BOOLEAN,
	dispute_reason TEXT,
	dunning_level BIGINT,
	discount_until DATE,
	discount_amount NUMERIC(18, 4),
	cancels_key TEXT,
	attributes JSONB,
	dealer_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT invoice_pkey PRIMARY KEY (erp, key)
);
CREATE INDEX invoice_account_key_idx ON portal.invoice (dealer_erp, account_key);
COMMENT ON TABLE portal.invoice IS 'Every receivable item; key = the ERP''s.';
COMMENT ON COLUMN portal.invoice.key IS 'the ERP''s key';
COMMENT ON COLUMN portal.invoice.number IS 'printed number';
COMMENT ON COLUMN portal.invoice.kind IS 'what it is';
COMMENT ON COLUMN portal.invoice.account_key IS 'who owes';
COMMENT ON COLUMN portal.invoice.dealer_key IS 'who bought; NULL: only the account sees it';
COMMENT ON COLUMN portal.invoice.order_key IS 'the order, when one; otherwise on lines';
COMMENT ON COLUMN portal.invoice.customer_ref IS 'the dealer''s own reference';
COMMENT ON COLUMN portal.invoice.issued_on IS 'date of issue';
COMMENT ON COLUMN portal.invoice.due_on IS 'required for kind invoice';
COMMENT ON COLUMN portal.invoice.due_on_computed IS 'true where due_on follows from terms';
COMMENT ON COLUMN portal.invoice.currency IS 'currency of every amount';
COMMENT ON COLUMN portal.invoice.net IS 'without tax';
COMMENT ON COLUMN portal.invoice.tax IS 'tax';
COMMENT ON COLUMN portal.invoice.gross IS 'with tax and freight; credit notes negative';
COMMENT ON COLUMN portal.invoice.open_amount IS 'what is still owed';
COMMENT ON COLUMN portal.invoice.settled_on IS 'day of full payment';
COMMENT ON COLUMN portal.invoice.disputed IS 'left out of ageing';
COMMENT ON COLUMN portal.invoice.dispute_reason IS 'why';
COMMENT ON COLUMN portal.invoice.dunning_level IS 'reminders sent';
COMMENT ON COLUMN portal.invoice.discount_until IS 'early-payment discount until';
COMMENT ON COLUMN portal.invoice.discount_amount IS 'early-payment discount';
COMMENT ON COLUMN portal.invoice.cancels_key IS 'the invoice this one cancels';
COMMENT ON COLUMN portal.invoice.attributes IS 'what the model has no place for';
CREATE TABLE portal.invoice_line (
	erp TEXT NOT NULL,
	invoice_key TEXT NOT NULL,
	account_key TEXT,
	dealer_key TEXT,
	line_no TEXT NOT NULL,
	kind TEXT NOT NULL,
	product_key TEXT,
	description TEXT,
	qty NUMERIC(18, 6),
	uom TEXT,
	unit_price NUMERIC(18, 6),
	per BIGINT,
	discount_pct NUMERIC(9, 6),
	net NUMERIC(18, 4) NOT NULL,
	tax_pct NUMERIC(9, 6),
	tax NUMERIC(18, 4),
	gross NUMERIC(18, 4),
	order_key TEXT,
	order_line_no TEXT,
	delivery_key TEXT,
	priced_on DATE,
	dealer_erp TEXT NOT NULL,
	product_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT invoice_line_pkey PRIMARY KEY (erp, invoice_key, line_no)
);
CREATE INDEX invoice_line_product_key_idx ON portal.invoice_line (erp, product_key);
COMMENT ON TABLE portal.invoice_line IS 'One line of an invoice.';
COMMENT ON COLUMN portal.invoice_line.invoice_key IS 'the invoice';
COMMENT ON COLUMN portal.invoice_line.account_key IS 'who owes';
COMMENT ON COLUMN portal.invoice_line.dealer_key IS 'who bought';
COMMENT ON COLUMN portal.invoice_line.line_no IS 'the ERP''s line number or key';
COMMENT ON COLUMN portal.invoice_line.kind IS 'what it is';
COMMENT ON COLUMN portal.invoice_line.product_key IS 'for kind item';
COMMENT ON COLUMN portal.invoice_line.description IS 'text of the line';
COMMENT ON COLUMN portal.invoice_line.qty IS 'for kind item';
COMMENT ON COLUMN portal.invoice_line.uom IS 'for kind item';
COMMENT ON COLUMN portal.invoice_line.unit_price IS 'for kind item';
COMMENT ON COLUMN portal.invoice_line.per IS 'for kind item: price per 1, 100, 1000';
COMMENT ON COLUMN portal.invoice_line.discount_pct IS 'discount of the line, percent';
COMMENT ON COLUMN portal.invoice_line.net IS 'without tax';
COMMENT ON COLUMN portal.invoice_line.tax_pct IS 'tax rate';
COMMENT ON COLUMN portal.invoice_line.tax IS 'tax';
COMMENT ON COLUMN portal.invoice_line.gross IS 'with tax';
COMMENT ON COLUMN portal.invoice_line.order_key IS 'the order';
COMMENT ON COLUMN portal.invoice_line.order_line_no IS 'its line';
COMMENT ON COLUMN portal.invoice_line.delivery_key IS 'the delivery';
COMMENT ON COLUMN portal.invoice_line.priced_on IS 'date of the price; absent: order date, then issued_on';
CREATE TABLE portal.order_event (
	erp TEXT NOT NULL,
	order_key TEXT NOT NULL,
	dealer_key TEXT,
	account_key TEXT,
	seq BIGINT NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	kind TEXT NOT NULL,
	"old" JSONB,
	"new" JSONB,
	text TEXT,
	actor TEXT,
	source TEXT NOT NULL,
	dealer_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT order_event_pkey PRIMARY KEY (erp, order_key, seq)
);
COMMENT ON TABLE portal.order_event IS 'One thing that happened to an order.';
COMMENT ON COLUMN portal.order_event.order_key IS 'the order';
COMMENT ON COLUMN portal.order_event.dealer_key IS 'who ordered';
COMMENT ON COLUMN portal.order_event.account_key IS 'who pays';
COMMENT ON COLUMN portal.order_event.seq IS 'order among the order''s events';
COMMENT ON COLUMN portal.order_event.at IS 'when';
COMMENT ON COLUMN portal.order_event.kind IS 'what happened';
COMMENT ON COLUMN portal.order_event."old" IS 'before';
COMMENT ON COLUMN portal.order_event."new" IS 'after';
COMMENT ON COLUMN portal.order_event.text IS 'in words';
COMMENT ON COLUMN portal.order_event.actor IS 'who';
COMMENT ON COLUMN portal.order_event.source IS 'whose event';
CREATE TABLE portal.payment (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	account_key TEXT NOT NULL,
	kind TEXT NOT NULL,
	booked_on DATE NOT NULL,
	value_on DATE,
	currency TEXT NOT NULL,
	amount NUMERIC(18, 4) NOT NULL,
	unapplied NUMERIC(18, 4),
	method TEXT,
	reference TEXT,
	order_ref TEXT,
	dealer_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT payment_pkey PRIMARY KEY (erp, key)
);
CREATE INDEX payment_account_key_idx ON portal.payment (dealer_erp, account_key);
COMMENT ON TABLE portal.payment IS 'Money that came in or went back; positive when it came in.';
COMMENT ON COLUMN portal.payment.key IS 'the ERP''s key';
COMMENT ON COLUMN portal.payment.account_key IS 'who paid';
COMMENT ON COLUMN portal.payment.kind IS 'what it is';
COMMENT ON COLUMN portal.payment.booked_on IS 'day of booking';
COMMENT ON COLUMN portal.payment.value_on IS 'value date';
COMMENT ON COLUMN portal.payment.currency IS 'currency';
COMMENT ON COLUMN portal.payment.amount IS 'positive when money came in';
COMMENT ON COLUMN portal.payment.unapplied IS 'not yet set against an invoice';
COMMENT ON COLUMN portal.payment.method IS 'how it was paid';
COMMENT ON COLUMN portal.payment.reference IS 'bank reference';
COMMENT ON COLUMN portal.payment.order_ref IS 'down payment for this order';
CREATE TABLE portal.payment_allocation (
	erp TEXT NOT NULL,
	payment_key TEXT NOT NULL,
	account_key TEXT,
	invoice_key TEXT NOT NULL,
	amount NUMERIC(18, 4) NOT NULL,
	allocated_on DATE,
	dealer_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT payment_allocation_pkey PRIMARY KEY (erp, payment_key, invoice_key)
);
COMMENT ON TABLE portal.payment_allocation IS 'How much of a payment was set against which invoice.';
COMMENT ON COLUMN portal.payment_allocation.payment_key IS 'the payment';
COMMENT ON COLUMN portal.payment_allocation.account_key IS 'who paid';
COMMENT ON COLUMN portal.payment_allocation.invoice_key IS 'the invoice';
COMMENT ON COLUMN portal.payment_allocation.amount IS 'part of the payment';
COMMENT ON COLUMN portal.payment_allocation.allocated_on IS 'day';
CREATE TABLE portal.price (
	erp TEXT NOT NULL,
	header_key TEXT NOT NULL,
	level TEXT NOT NULL,
	dealer_scope TEXT NOT NULL,
	dealer_group_kind TEXT,
	dealer_key TEXT,
	product_scope TEXT NOT NULL,
	product_key TEXT,
	currency TEXT NOT NULL,
	uom TEXT,
	per BIGINT NOT NULL,
	min_qty NUMERIC(18, 6) NOT NULL,
	min_amount NUMERIC(18, 4),
	unit_price NUMERIC(18, 6),
	pct_off_list NUMERIC(9, 6),
	amount_off_list NUMERIC(18, 6),
	allow_zero BOOLEAN,
	combine TEXT,
	tax_included BOOLEAN,
	valid_from DATE NOT NULL,
	valid_to DATE,
	seq BIGINT,
	quota_left NUMERIC(18, 6),
	ref TEXT,
	title TEXT,
	dealer_erp TEXT NOT NULL,
	product_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT price_pkey PRIMARY KEY (erp, header_key, min_qty)
)
 PARTITION BY LIST (erp);
COMMENT ON TABLE portal.price IS 'One break of one header (the ERP''s condition record). Breaks of two never mix.';
COMMENT ON COLUMN portal.price.header_key IS 'the ERP''s condition record, or composed by a named step';
COMMENT ON COLUMN portal.price.level IS 'who it competes with';
COMMENT ON COLUMN portal.price.dealer_scope IS 'for whom';
COMMENT ON COLUMN portal.price.dealer_group_kind IS 'kind of group, when group';
COMMENT ON COLUMN portal.price.dealer_key IS 'dealer, account or group key, unless all';
COMMENT ON COLUMN portal.price.product_scope IS 'for what';
COMMENT ON COLUMN portal.price.product_key IS 'SKU or category key';
COMMENT ON COLUMN portal.price.currency IS 'no implicit conversion, ever';
COMMENT ON COLUMN portal.price.uom IS 'when the value is an amount';
COMMENT ON COLUMN portal.price.per IS 'price per 1, 100, 1000';
COMMENT ON COLUMN portal.price.min_qty IS 'first quantity of the break, in uom, else base';
COMMENT ON COLUMN portal.price.min_amount IS 'cart rules only';
COMMENT ON COLUMN portal.price.unit_price IS 'at most one of the three values';
COMMENT ON COLUMN portal.price.pct_off_list IS 'at most one of the three values';
COMMENT ON COLUMN portal.price.amount_off_list IS 'at most one of the three values';
COMMENT ON COLUMN portal.price.allow_zero IS 'without it a price of 0 is a rejection';
COMMENT ON COLUMN portal.price.combine IS 'how a percentage meets the others; absent = compete';
COMMENT ON COLUMN portal.price.tax_included IS 'absent = false';
COMMENT ON COLUMN portal.price.valid_from IS 'first day';
COMMENT ON COLUMN portal.price.valid_to IS 'first day after';
COMMENT ON COLUMN portal.price.seq IS 'the ERP''s own rank between equal headers';
COMMENT ON COLUMN portal.price.quota_left IS 'contract quota';
COMMENT ON COLUMN portal.price.ref IS 'contract, project, promotion or quote number';
COMMENT ON COLUMN portal.price.title IS 'shown to the dealer as the reason';
CREATE TABLE portal.product (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	name TEXT NOT NULL,
	description TEXT,
	status TEXT NOT NULL,
	brand TEXT,
	base_uom TEXT NOT NULL,
	sales_uom TEXT,
	min_order_qty NUMERIC(18, 6),
	order_step NUMERIC(18, 6),
	lead_time_days BIGINT,
	tax_class TEXT,
	tax_pct NUMERIC(9, 6),
	stocked BOOLEAN,
	restrictions TEXT[],
	launched_on DATE,
	successor_key TEXT,
	manufacturer TEXT,
	manufacturer_no TEXT,
	origin TEXT,
	customs_no TEXT,
	weight_kg NUMERIC(18, 6),
	search_terms TEXT[],
	attributes JSONB,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT product_pkey PRIMARY KEY (erp, key)
);
COMMENT ON TABLE portal.product IS 'A thing that can be ordered; key = the SKU as ordered, leading zeros kept.';
COMMENT ON COLUMN portal.product.key IS 'SKU as ordered';
COMMENT ON COLUMN portal.product.name IS 'name in the default language';
COMMENT ON COLUMN portal.product.description IS 'description in the default language';
COMMENT ON COLUMN portal.product.status IS 'may it be bought';
COMMENT ON COLUMN portal.product.brand IS 'third navigation level';
COMMENT ON COLUMN portal.product.base_uom IS 'unit in which stock is counted';
COMMENT ON COLUMN portal.product.sales_uom IS 'unit in which it is sold; absent = base';
COMMENT ON COLUMN portal.product.min_order_qty IS 'in sales_uom';
COMMENT ON COLUMN portal.product.order_step IS 'in sales_uom';
COMMENT ON COLUMN portal.product.lead_time_days IS 'for alternative dates and suggestions';
COMMENT ON COLUMN portal.product.tax_class IS 'one of tax_class and tax_pct';
COMMENT ON COLUMN portal.product.tax_pct IS 'one of tax_class and tax_pct';
COMMENT ON COLUMN portal.product.stocked IS 'false: service or freight, never out of stock';
COMMENT ON COLUMN portal.product.restrictions IS 'approval triggers and notices';
COMMENT ON COLUMN portal.product.launched_on IS 'new-product notice';
COMMENT ON COLUMN portal.product.successor_key IS 'what replaces it';
COMMENT ON COLUMN portal.product.manufacturer IS 'specification';
COMMENT ON COLUMN portal.product.manufacturer_no IS 'specification';
COMMENT ON COLUMN portal.product.origin IS 'country of origin, ISO 3166-1';
COMMENT ON COLUMN portal.product.customs_no IS 'customs tariff number';
COMMENT ON COLUMN portal.product.weight_kg IS 'weight of one base_uom';
COMMENT ON COLUMN portal.product.search_terms IS 'words it is found by';
COMMENT ON COLUMN portal.product.attributes IS 'technical specification, name to value';
CREATE TABLE portal.product_category (
	erp TEXT NOT NULL,
	product_key TEXT NOT NULL,
	category_key TEXT NOT NULL,
	is_primary BOOLEAN,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT product_category_pkey PRIMARY KEY (erp, product_key, category_key)
);
COMMENT ON TABLE portal.product_category IS 'Which categories a product stands in; many to many.';
COMMENT ON COLUMN portal.product_category.product_key IS 'the product';
COMMENT ON COLUMN portal.product_category.category_key IS 'the category';
COMMENT ON COLUMN portal.product_category.is_primary IS 'its main place';
CREATE TABLE portal.product_document (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	product_key TEXT NOT NULL,
	kind TEXT NOT NULL,
	title TEXT,
	language TEXT,
	sort BIGINT,
	location TEXT NOT NULL,
	mime TEXT,
	bytes BIGINT,
	sha256 TEXT,
	valid_to DATE,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT product_document_pkey PRIMARY KEY (erp, key)
);
COMMENT ON TABLE portal.product_document IS 'A picture, data sheet or certificate of a product.';
COMMENT ON COLUMN portal.product_document.key IS 'the ERP''s key';
COMMENT ON COLUMN portal.product_document.product_key IS 'the product';
COMMENT ON COLUMN portal.product_document.kind IS 'what it is';
COMMENT ON COLUMN portal.product_document.title IS 'title';
COMMENT ON COLUMN portal.product_document.language IS 'BCP 47';
COMMENT ON COLUMN portal.product_document.sort IS 'order';
COMMENT ON COLUMN portal.product_document.location IS 'URL or landed file';
COMMENT ON COLUMN portal.product_document.mime IS 'media type';
COMMENT ON COLUMN portal.product_document.bytes IS 'size in bytes';
COMMENT ON COLUMN portal.product_document.sha256 IS 'SHA-256 of the file, hexadecimal';
COMMENT ON COLUMN portal.product_document.valid_to IS 'first day after';
CREATE TABLE portal.product_text (
	erp TEXT NOT NULL,
	product_key TEXT NOT NULL,
	language TEXT NOT NULL,
	name TEXT NOT NULL,
	description TEXT,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT product_text_pkey PRIMARY KEY (erp, product_key, language)
);
COMMENT ON TABLE portal.product_text IS 'Name and description in one language.';
COMMENT ON COLUMN portal.product_text.product_key IS 'the product';
COMMENT ON COLUMN portal.product_text.language IS 'BCP 47';
COMMENT ON COLUMN portal.product_text.name IS 'name';
COMMENT ON COLUMN portal.product_text.description IS 'description';
CREATE TABLE portal.product_uom (
	erp TEXT NOT NULL,
	product_key TEXT NOT NULL,
	uom TEXT NOT NULL,
	numerator BIGINT NOT NULL,
	denominator BIGINT NOT NULL,
	barcodes TEXT[],
	orderable BOOLEAN,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT product_uom_pkey PRIMARY KEY (erp, product_key, uom)
);
COMMENT ON TABLE portal.product_uom IS 'A unit the product comes in; uom to base as an exact ratio.';
COMMENT ON COLUMN portal.product_uom.product_key IS 'the product';
COMMENT ON COLUMN portal.product_uom.uom IS 'unit';
COMMENT ON COLUMN portal.product_uom.numerator IS 'base units in `denominator` of this unit';
COMMENT ON COLUMN portal.product_uom.denominator IS 'see numerator';
COMMENT ON COLUMN portal.product_uom.barcodes IS 'barcodes of this unit';
COMMENT ON COLUMN portal.product_uom.orderable IS 'may be ordered in it';
CREATE TABLE portal.sales_order (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	number TEXT NOT NULL,
	portal_ref TEXT,
	channel TEXT,
	dealer_key TEXT NOT NULL,
	account_key TEXT,
	address_key TEXT,
	ship_to JSONB,
	customer_ref TEXT,
	contact_key TEXT,
	entered_by TEXT,
	sales_rep_key TEXT,
	ordered_at TIMESTAMP WITH TIME ZONE NOT NULL,
	ordered_at_exact BOOLEAN,
	requested_on DATE,
	expected_on DATE,
	currency TEXT NOT NULL,
	net NUMERIC(18, 4),
	tax NUMERIC(18, 4),
	gross NUMERIC(18, 4),
	open_gross NUMERIC(18, 4),
	status TEXT NOT NULL,
	status_raw TEXT,
	status_reason TEXT,
	approved_at TIMESTAMP WITH TIME ZONE,
	first_shipped_at TIMESTAMP WITH TIME ZONE,
	delivered_at TIMESTAMP WITH TIME ZONE,
	cancelled_at TIMESTAMP WITH TIME ZONE,
	changed_at TIMESTAMP WITH TIME ZONE,
	backorder_of TEXT,
	entry_error TEXT,
	attributes JSONB,
	dealer_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT sales_order_pkey PRIMARY KEY (erp, key)
);
CREATE INDEX sales_order_dealer_key_idx ON portal.sales_order (dealer_erp, dealer_key);
COMMENT ON TABLE portal.sales_order IS 'An order as the ERP has it, whatever channel it came by.';
COMMENT ON COLUMN portal.sales_order.key IS 'the ERP''s key';
COMMENT ON COLUMN portal.sales_order.number IS 'order number';
COMMENT ON COLUMN portal.sales_order.portal_ref IS 'our reference; NULL = other channel';
COMMENT ON COLUMN portal.sales_order.channel IS 'how it came in';
COMMENT ON COLUMN portal.sales_order.dealer_key IS 'who ordered';
COMMENT ON COLUMN portal.sales_order.account_key IS 'who pays';
COMMENT ON COLUMN portal.sales_order.address_key IS 'ship-to address';
COMMENT ON COLUMN portal.sales_order.ship_to IS 'address as used';
COMMENT ON COLUMN portal.sales_order.customer_ref IS 'the dealer''s own reference';
COMMENT ON COLUMN portal.sales_order.contact_key IS 'the dealer''s contact';
COMMENT ON COLUMN portal.sales_order.entered_by IS 'who entered it';
COMMENT ON COLUMN portal.sales_order.sales_rep_key IS 'sales representative';
COMMENT ON COLUMN portal.sales_order.ordered_at IS 'when it was ordered';
COMMENT ON COLUMN portal.sales_order.ordered_at_exact IS 'false: only a date was given';
COMMENT ON COLUMN portal.sales_order.requested_on IS 'wanted for';
COMMENT ON COLUMN portal.sales_order.expected_on IS 'promised for';
COMMENT ON COLUMN portal.sales_order.currency IS 'currency of every amount';
COMMENT ON COLUMN portal.sales_order.net IS 'without tax';
COMMENT ON COLUMN portal.sales_order.tax IS 'tax';
COMMENT ON COLUMN portal.sales_order.gross IS 'with tax and freight';
COMMENT ON COLUMN portal.sales_order.open_gross IS 'approved, not invoiced; else summed from lines';
COMMENT ON COLUMN portal.sales_order.status IS 'how far it is';
COMMENT ON COLUMN portal.sales_order.status_raw IS 'the ERP''s own word';
COMMENT ON COLUMN portal.sales_order.status_reason IS 'readable by the dealer';
COMMENT ON COLUMN portal.sales_order.approved_at IS 'approved';
COMMENT ON COLUMN portal.sales_order.first_shipped_at IS 'first goods left';
COMMENT ON COLUMN portal.sales_order.delivered_at IS 'delivered';
COMMENT ON COLUMN portal.sales_order.cancelled_at IS 'cancelled';
COMMENT ON COLUMN portal.sales_order.changed_at IS 'last change in the ERP';
COMMENT ON COLUMN portal.sales_order.backorder_of IS 'order this one fills the rest of';
COMMENT ON COLUMN portal.sales_order.entry_error IS 'the ERP''s reason when entered wrongly';
COMMENT ON COLUMN portal.sales_order.attributes IS 'what the model has no place for';
CREATE TABLE portal.sales_order_line (
	erp TEXT NOT NULL,
	order_key TEXT NOT NULL,
	dealer_key TEXT,
	account_key TEXT,
	line_no TEXT NOT NULL,
	portal_line TEXT,
	product_key TEXT NOT NULL,
	qty NUMERIC(18, 6) NOT NULL,
	uom TEXT NOT NULL,
	qty_confirmed NUMERIC(18, 6),
	qty_shipped NUMERIC(18, 6),
	qty_invoiced NUMERIC(18, 6),
	qty_cancelled NUMERIC(18, 6),
	unit_price NUMERIC(18, 6),
	per BIGINT,
	discount_pct NUMERIC(9, 6),
	net NUMERIC(18, 4),
	tax_pct NUMERIC(9, 6),
	gross NUMERIC(18, 4),
	expected_on DATE,
	warehouse_key TEXT,
	status TEXT,
	reason TEXT,
	replaces_product_key TEXT,
	dealer_erp TEXT NOT NULL,
	product_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT sales_order_line_pkey PRIMARY KEY (erp, order_key, line_no)
);
COMMENT ON TABLE portal.sales_order_line IS 'One line of an order.';
COMMENT ON COLUMN portal.sales_order_line.order_key IS 'the order';
COMMENT ON COLUMN portal.sales_order_line.dealer_key IS 'who ordered';
COMMENT ON COLUMN portal.sales_order_line.account_key IS 'who pays';
COMMENT ON COLUMN portal.sales_order_line.line_no IS 'the ERP''s line number or key';
COMMENT ON COLUMN portal.sales_order_line.portal_line IS 'our line number';
COMMENT ON COLUMN portal.sales_order_line.product_key IS 'the product';
COMMENT ON COLUMN portal.sales_order_line.qty IS 'ordered';
COMMENT ON COLUMN portal.sales_order_line.uom IS 'unit';
COMMENT ON COLUMN portal.sales_order_line.qty_confirmed IS 'confirmed';
COMMENT ON COLUMN portal.sales_order_line.qty_shipped IS 'shipped';
COMMENT ON COLUMN portal.sales_order_line.qty_invoiced IS 'invoiced';
COMMENT ON COLUMN portal.sales_order_line.qty_cancelled IS 'cancelled';
COMMENT ON COLUMN portal.sales_order_line.unit_price IS 'price of one `per`';
COMMENT ON COLUMN portal.sales_order_line.per IS 'price per 1, 100, 1000';
COMMENT ON COLUMN portal.sales_order_line.discount_pct IS 'discount of the line, percent';
COMMENT ON COLUMN portal.sales_order_line.net IS 'without tax';
COMMENT ON COLUMN portal.sales_order_line.tax_pct IS 'tax rate';
COMMENT ON COLUMN portal.sales_order_line.gross IS 'with tax';
COMMENT ON COLUMN portal.sales_order_line.expected_on IS 'promised for';
COMMENT ON COLUMN portal.sales_order_line.warehouse_key IS 'ships from';
COMMENT ON COLUMN portal.sales_order_line.status IS 'how far it is';
COMMENT ON COLUMN portal.sales_order_line.reason IS 'readable by the dealer';
COMMENT ON COLUMN portal.sales_order_line.replaces_product_key IS 'substituted by the office';
CREATE TABLE portal.shipment (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	order_key TEXT NOT NULL,
	dealer_key TEXT,
	account_key TEXT,
	shipped_at TIMESTAMP WITH TIME ZONE NOT NULL,
	delivered_at TIMESTAMP WITH TIME ZONE,
	carrier TEXT,
	tracking_no TEXT,
	tracking_url TEXT,
	dealer_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT shipment_pkey PRIMARY KEY (erp, key)
);
COMMENT ON TABLE portal.shipment IS 'Goods that left for an order.';
COMMENT ON COLUMN portal.shipment.key IS 'the ERP''s key';
COMMENT ON COLUMN portal.shipment.order_key IS 'the order';
COMMENT ON COLUMN portal.shipment.dealer_key IS 'who ordered';
COMMENT ON COLUMN portal.shipment.account_key IS 'who pays';
COMMENT ON COLUMN portal.shipment.shipped_at IS 'left the warehouse';
COMMENT ON COLUMN portal.shipment.delivered_at IS 'delivered';
COMMENT ON COLUMN portal.shipment.carrier IS 'carrier';
COMMENT ON COLUMN portal.shipment.tracking_no IS 'tracking number';
COMMENT ON COLUMN portal.shipment.tracking_url IS 'tracking page';
CREATE TABLE portal.shipment_line (
	erp TEXT NOT NULL,
	shipment_key TEXT NOT NULL,
	order_key TEXT,
	dealer_key TEXT,
	account_key TEXT,
	order_line_no TEXT NOT NULL,
	qty NUMERIC(18, 6) NOT NULL,
	lot TEXT,
	dealer_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT shipment_line_pkey PRIMARY KEY (erp, shipment_key, order_line_no)
);
COMMENT ON TABLE portal.shipment_line IS 'What one shipment held of one order line.';
COMMENT ON COLUMN portal.shipment_line.shipment_key IS 'the shipment';
COMMENT ON COLUMN portal.shipment_line.order_key IS 'the order';
COMMENT ON COLUMN portal.shipment_line.dealer_key IS 'who ordered';
COMMENT ON COLUMN portal.shipment_line.account_key IS 'who pays';
COMMENT ON COLUMN portal.shipment_line.order_line_no IS 'the order''s line';
COMMENT ON COLUMN portal.shipment_line.qty IS 'shipped';
COMMENT ON COLUMN portal.shipment_line.lot IS 'lot';
CREATE TABLE portal.stock (
	erp TEXT NOT NULL,
	product_key TEXT NOT NULL,
	warehouse_key TEXT NOT NULL,
	on_hand NUMERIC(18, 6) NOT NULL,
	reserved NUMERIC(18, 6),
	available NUMERIC(18, 6),
	low_level NUMERIC(18, 6),
	changed_at TIMESTAMP WITH TIME ZONE,
	product_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT stock_pkey PRIMARY KEY (erp, product_key, warehouse_key)
);
COMMENT ON TABLE portal.stock IS 'Stock of a product in a warehouse, in its base_uom.';
COMMENT ON COLUMN portal.stock.product_key IS 'the product';
COMMENT ON COLUMN portal.stock.warehouse_key IS 'the warehouse';
COMMENT ON COLUMN portal.stock.on_hand IS 'may be negative: shown as 0, counted as an event';
COMMENT ON COLUMN portal.stock.reserved IS 'allocated by the ERP';
COMMENT ON COLUMN portal.stock.available IS 'the ERP''s own figure beats ours';
COMMENT ON COLUMN portal.stock.low_level IS 'yellow below';
COMMENT ON COLUMN portal.stock.changed_at IS 'last movement';
CREATE TABLE portal.stock_expected (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	product_key TEXT NOT NULL,
	warehouse_key TEXT NOT NULL,
	qty NUMERIC(18, 6) NOT NULL,
	expected_on DATE NOT NULL,
	kind TEXT NOT NULL,
	confirmed BOOLEAN,
	product_erp TEXT NOT NULL,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT stock_expected_pkey PRIMARY KEY (erp, key)
);
COMMENT ON TABLE portal.stock_expected IS 'Goods on their way; a past date stays, marked late.';
COMMENT ON COLUMN portal.stock_expected.key IS 'the ERP''s key';
COMMENT ON COLUMN portal.stock_expected.product_key IS 'the product';
COMMENT ON COLUMN portal.stock_expected.warehouse_key IS 'where it is expected';
COMMENT ON COLUMN portal.stock_expected.qty IS 'in base_uom';
COMMENT ON COLUMN portal.stock_expected.expected_on IS 'day of arrival';
COMMENT ON COLUMN portal.stock_expected.kind IS 'where it comes from';
COMMENT ON COLUMN portal.stock_expected.confirmed IS 'confirmed by the supplier';
CREATE TABLE portal.substitute (
	erp TEXT NOT NULL,
	product_key TEXT NOT NULL,
	substitute_key TEXT NOT NULL,
	kind TEXT NOT NULL,
	rank BIGINT,
	both_ways BOOLEAN,
	valid_from DATE NOT NULL,
	valid_to DATE,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT substitute_pkey PRIMARY KEY (erp, product_key, substitute_key)
);
COMMENT ON TABLE portal.substitute IS 'What to offer instead of a product, or with it.';
COMMENT ON COLUMN portal.substitute.product_key IS 'the product';
COMMENT ON COLUMN portal.substitute.substitute_key IS 'the product to offer';
COMMENT ON COLUMN portal.substitute.kind IS 'why it is offered';
COMMENT ON COLUMN portal.substitute.rank IS 'low first';
COMMENT ON COLUMN portal.substitute.both_ways IS 'holds the other way round too';
COMMENT ON COLUMN portal.substitute.valid_from IS 'first day';
COMMENT ON COLUMN portal.substitute.valid_to IS 'first day after';
CREATE TABLE portal.warehouse (
	erp TEXT NOT NULL,
	key TEXT NOT NULL,
	name TEXT NOT NULL,
	country TEXT,
	region TEXT,
	time_zone TEXT,
	sort BIGINT,
	visible BOOLEAN,
	batch_id BIGINT NOT NULL,
	record_no BIGINT NOT NULL,
	row_hash BIGINT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	stale_since TIMESTAMP WITH TIME ZONE,
	CONSTRAINT warehouse_pkey PRIMARY KEY (erp, key)
);
COMMENT ON TABLE portal.warehouse IS 'A place that ships.';
COMMENT ON COLUMN portal.warehouse.key IS 'the ERP''s warehouse key';
COMMENT ON COLUMN portal.warehouse.name IS 'name';
COMMENT ON COLUMN portal.warehouse.country IS 'ISO 3166-1 alpha-2';
COMMENT ON COLUMN portal.warehouse.region IS 'region';
COMMENT ON COLUMN portal.warehouse.time_zone IS 'IANA name';
COMMENT ON COLUMN portal.warehouse.sort IS 'order';
COMMENT ON COLUMN portal.warehouse.visible IS 'shown to dealers';
CREATE TABLE sync.attempt (
	id BIGINT GENERATED BY DEFAULT AS IDENTITY,
	quarantine_id BIGINT NOT NULL,
	run_id BIGINT NOT NULL,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	outcome TEXT NOT NULL,
	detail JSONB,
	CONSTRAINT attempt_pkey PRIMARY KEY (id)
);
CREATE INDEX attempt_quarantine_idx ON sync.attempt (quarantine_id);
COMMENT ON TABLE sync.attempt IS 'One try to load a quarantined record. Append-only.';
CREATE TABLE sync.audit (
	id BIGINT GENERATED ALWAYS AS IDENTITY,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	actor TEXT NOT NULL,
	action TEXT NOT NULL,
	subject TEXT NOT NULL,
	detail JSONB,
	CONSTRAINT audit_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE sync.audit IS 'What people did. Append-only.';
CREATE TABLE sync.batch (
	id BIGINT GENERATED BY DEFAULT AS IDENTITY,
	erp TEXT NOT NULL,
	feed TEXT NOT NULL,
	scope_key TEXT DEFAULT '' NOT NULL,
	scope JSONB,
	mode TEXT NOT NULL,
	state TEXT DEFAULT 'pulling' NOT NULL,
	state_reason TEXT,
	cursor_from TEXT,
	cursor_to TEXT,
	complete BOOLEAN DEFAULT 'false' NOT NULL,
	complete_reason TEXT,
	landing TEXT,
	content_sha256 TEXT,
	manifest_sha256 TEXT,
	mapping_sha256 TEXT NOT NULL,
	pages INTEGER DEFAULT '0' NOT NULL,
	bytes BIGINT DEFAULT '0' NOT NULL,
	documents INTEGER DEFAULT '0' NOT NULL,
	pulled_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	server_at TIMESTAMP WITH TIME ZONE,
	superseded_by BIGINT,
	CONSTRAINT batch_pkey PRIMARY KEY (id),
	CONSTRAINT batch_state CHECK (state IN ('pulling','landed','applied','held','superseded','refused','abandoned')),
	CONSTRAINT batch_mode CHECK (mode IN ('snapshot','delta'))
);
CREATE INDEX batch_feed_idx ON sync.batch (erp, feed, scope_key, id);
COMMENT ON TABLE sync.batch IS 'The raw pages of one pull, kept as evidence; id is the order in which they apply.';
COMMENT ON COLUMN sync.batch.scope_key IS ''''' = the whole feed';
COMMENT ON COLUMN sync.batch.scope IS 'field and values, or field and since';
COMMENT ON COLUMN sync.batch.landing IS 'folder below the landing store';
COMMENT ON COLUMN sync.batch.content_sha256 IS 'over the SHA-256 of all pages, in order';
COMMENT ON COLUMN sync.batch.documents IS 'asked for anew';
CREATE TABLE sync.batch_page (
	batch_id BIGINT NOT NULL,
	page INTEGER NOT NULL,
	part TEXT NOT NULL,
	name TEXT NOT NULL,
	file TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	bytes BIGINT NOT NULL,
	records BIGINT,
	first_record_no BIGINT,
	CONSTRAINT batch_page_pkey PRIMARY KEY (batch_id, page)
);
COMMENT ON COLUMN sync.batch_page.file IS 'file name in the batch''s landing folder';
COMMENT ON COLUMN sync.batch_page.records IS 'root records as the connector or the load counted them';
COMMENT ON COLUMN sync.batch_page.first_record_no IS 'known once the batch has been read';
CREATE TABLE sync.change (
	id BIGINT GENERATED BY DEFAULT AS IDENTITY,
	run_id BIGINT NOT NULL,
	batch_id BIGINT NOT NULL,
	erp TEXT NOT NULL,
	part TEXT NOT NULL,
	key TEXT NOT NULL,
	op TEXT NOT NULL,
	"old" JSONB,
	"new" JSONB,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT change_pkey PRIMARY KEY (id),
	CONSTRAINT change_op CHECK (op IN ('insert','update','delete'))
);
CREATE INDEX change_key_idx ON sync.change (erp, part, key);
CREATE INDEX change_run_idx ON sync.change (run_id);
COMMENT ON TABLE sync.change IS 'What each run changed. A first load writes none: the batch is the change.';
COMMENT ON COLUMN sync.change.key IS 'the row''s key as text';
COMMENT ON COLUMN sync.change."old" IS 'the fields that differ, before';
COMMENT ON COLUMN sync.change."new" IS 'the fields that differ, after';
CREATE TABLE sync.check_result (
	run_id BIGINT NOT NULL,
	part TEXT NOT NULL,
	check_id TEXT NOT NULL,
	judge TEXT NOT NULL,
	success BOOLEAN,
	evaluated BIGINT NOT NULL,
	failed BIGINT NOT NULL,
	population TEXT NOT NULL,
	says TEXT NOT NULL,
	CONSTRAINT check_result_pkey PRIMARY KEY (run_id, part, check_id, judge)
);
COMMENT ON COLUMN sync.check_result.judge IS 'mask, gx or batch';
COMMENT ON COLUMN sync.check_result.success IS 'NULL: not evaluated';
CREATE TABLE sync.cursor (
	erp TEXT NOT NULL,
	feed TEXT NOT NULL,
	scope_key TEXT DEFAULT '' NOT NULL,
	cursor TEXT,
	batch_id BIGINT,
	run_id BIGINT,
	confirmed_at TIMESTAMP WITH TIME ZONE,
	wanted_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT cursor_pkey PRIMARY KEY (erp, feed, scope_key)
);
COMMENT ON COLUMN sync.cursor.cursor IS 'the ERP''s own text; moves only with the data';
COMMENT ON COLUMN sync.cursor.batch_id IS 'last applied batch';
COMMENT ON COLUMN sync.cursor.run_id IS 'last done run that judged all of it';
COMMENT ON COLUMN sync.cursor.confirmed_at IS 'when presence was last proven';
COMMENT ON COLUMN sync.cursor.wanted_at IS 'someone asked while another was at it';
CREATE TABLE sync.feed_promise (
	feed TEXT NOT NULL,
	promise_minutes INTEGER NOT NULL,
	CONSTRAINT feed_promise_pkey PRIMARY KEY (feed)
);
COMMENT ON TABLE sync.feed_promise IS 'How old a feed may be before it counts as late; written by the migrations'' end.';
CREATE TABLE sync.incident (
	id BIGINT GENERATED BY DEFAULT AS IDENTITY,
	erp TEXT NOT NULL,
	feed TEXT NOT NULL,
	guard TEXT NOT NULL,
	first_batch BIGINT NOT NULL,
	last_batch BIGINT NOT NULL,
	times INTEGER DEFAULT '1' NOT NULL,
	says TEXT NOT NULL,
	opened_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	closed_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT incident_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX incident_open_key ON sync.incident (erp, feed, guard) WHERE closed_at IS NULL;
COMMENT ON TABLE sync.incident IS 'One a guard and feed until a batch passes; newer held batches join it.';
CREATE TABLE sync.mapping (
	sha256 TEXT NOT NULL,
	erp TEXT NOT NULL,
	text TEXT NOT NULL,
	seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT mapping_pkey PRIMARY KEY (sha256)
);
COMMENT ON TABLE sync.mapping IS 'Every mapping''s text that a run has used.';
CREATE TABLE sync.quarantine (
	id BIGINT GENERATED BY DEFAULT AS IDENTITY,
	erp TEXT NOT NULL,
	feed TEXT NOT NULL,
	part TEXT NOT NULL,
	key TEXT,
	state TEXT DEFAULT 'open' NOT NULL,
	batch_id BIGINT NOT NULL,
	run_id BIGINT NOT NULL,
	page INTEGER,
	record_no BIGINT NOT NULL,
	reasons JSONB NOT NULL,
	code TEXT NOT NULL,
	raw TEXT NOT NULL,
	raw_hash BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	shape TEXT NOT NULL,
	children JSONB,
	waits_for JSONB,
	retry_until TIMESTAMP WITH TIME ZONE,
	attempts INTEGER DEFAULT '1' NOT NULL,
	first_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	last_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	resolved_at TIMESTAMP WITH TIME ZONE,
	resolved_run BIGINT,
	resolved_by TEXT,
	resolved_reason TEXT,
	CONSTRAINT quarantine_pkey PRIMARY KEY (id),
	CONSTRAINT quarantine_state CHECK (state IN ('open','released','discarded','superseded'))
);
CREATE INDEX quarantine_batch_idx ON sync.quarantine (batch_id);
CREATE UNIQUE INDEX quarantine_open_key ON sync.quarantine (erp, feed, part, key) WHERE state = 'open';
CREATE INDEX quarantine_waiting_idx ON sync.quarantine (erp, feed) WHERE state = 'open' AND retry_until IS NOT NULL;
COMMENT ON TABLE sync.quarantine IS 'Records that came in and failed; one open item a key.';
COMMENT ON COLUMN sync.quarantine.key IS 'the record''s key as text; unreadable:<hash> where it has none';
COMMENT ON COLUMN sync.quarantine.reasons IS 'list of field, code, says, raw';
COMMENT ON COLUMN sync.quarantine.code IS 'code of the first reason';
COMMENT ON COLUMN sync.quarantine.raw IS 'the record''s raw columns as JSON';
COMMENT ON COLUMN sync.quarantine.shape IS 'erp, feed, part, field, code, value shape';
COMMENT ON COLUMN sync.quarantine.children IS 'child part to number of records that share its fate';
COMMENT ON COLUMN sync.quarantine.waits_for IS 'list of erp, part, key that are missing';
COMMENT ON COLUMN sync.quarantine.retry_until IS 'deferred until then; NULL: rejected';
CREATE TABLE sync.reconciliation (
	run_id BIGINT NOT NULL,
	part TEXT NOT NULL,
	name TEXT NOT NULL,
	sides TEXT NOT NULL,
	left_value NUMERIC,
	right_value NUMERIC,
	agrees BOOLEAN,
	says TEXT NOT NULL,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT reconciliation_pkey PRIMARY KEY (run_id, part, name, sides)
);
COMMENT ON COLUMN sync.reconciliation.name IS 'count or sum:<field>';
COMMENT ON COLUMN sync.reconciliation.sides IS 'which two sides, e.g. erp=read';
COMMENT ON COLUMN sync.reconciliation.agrees IS 'NULL: nothing to hold it against';
CREATE TABLE sync.run (
	id BIGINT GENERATED BY DEFAULT AS IDENTITY,
	batch_id BIGINT NOT NULL,
	erp TEXT NOT NULL,
	feed TEXT NOT NULL,
	kind TEXT DEFAULT 'load' NOT NULL,
	state TEXT DEFAULT 'running' NOT NULL,
	started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	finished_at TIMESTAMP WITH TIME ZONE,
	seconds NUMERIC(12, 3),
	mapping_sha256 TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	read BIGINT DEFAULT '0' NOT NULL,
	inserted BIGINT DEFAULT '0' NOT NULL,
	updated BIGINT DEFAULT '0' NOT NULL,
	unchanged BIGINT DEFAULT '0' NOT NULL,
	superseded BIGINT DEFAULT '0' NOT NULL,
	quarantined BIGINT DEFAULT '0' NOT NULL,
	deferred BIGINT DEFAULT '0' NOT NULL,
	deleted BIGINT DEFAULT '0' NOT NULL,
	error JSONB,
	stops JSONB,
	overrides TEXT[],
	delta_sha256 TEXT,
	movements JSONB,
	timings JSONB,
	reason TEXT,
	actor TEXT,
	CONSTRAINT run_pkey PRIMARY KEY (id),
	CONSTRAINT run_state CHECK (state IN ('running','done','held','failed')),
	CONSTRAINT run_kind CHECK (kind IN ('load','retry','replay','release')),
	CONSTRAINT run_law CHECK (state NOT IN ('done','held') OR read = inserted + updated + unchanged + superseded + quarantined + deferred)
);
CREATE INDEX run_batch_idx ON sync.run (batch_id);
CREATE INDEX run_feed_idx ON sync.run (erp, feed, id);
COMMENT ON TABLE sync.run IS 'One attempt to load a batch.';
COMMENT ON COLUMN sync.run.stops IS 'the guards that held it, with figures';
COMMENT ON COLUMN sync.run.overrides IS 'guards a release let pass';
COMMENT ON COLUMN sync.run.movements IS 'of a held run: its biggest changes';
COMMENT ON COLUMN sync.run.timings IS 'step name to seconds';
CREATE TABLE sync.run_part (
	run_id BIGINT NOT NULL,
	part TEXT NOT NULL,
	read BIGINT DEFAULT '0' NOT NULL,
	inserted BIGINT DEFAULT '0' NOT NULL,
	updated BIGINT DEFAULT '0' NOT NULL,
	unchanged BIGINT DEFAULT '0' NOT NULL,
	superseded BIGINT DEFAULT '0' NOT NULL,
	quarantined BIGINT DEFAULT '0' NOT NULL,
	deferred BIGINT DEFAULT '0' NOT NULL,
	deleted BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT run_part_pkey PRIMARY KEY (run_id, part),
	CONSTRAINT run_part_law CHECK (read = inserted + updated + unchanged + superseded + quarantined + deferred)
);
COMMENT ON TABLE sync.run_part IS 'The ledger of one run, per part.';

CREATE FUNCTION portal.current_dealer() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT NULLIF(current_setting('app.dealer', true), '')::bigint $$;
CREATE FUNCTION portal.my_dealers() RETURNS TABLE (erp text, dealer_key text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT a.erp, a.dealer_key FROM portal.dealer_account a
        WHERE a.portal_dealer_id = portal.current_dealer() $$;
CREATE FUNCTION portal.my_accounts() RETURNS TABLE (erp text, account_key text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT d.erp, k.account_key FROM portal.my_dealers() m
        JOIN portal.dealer d ON d.erp = m.erp AND d.key = m.dealer_key
        CROSS JOIN LATERAL (VALUES (d.account_key), (d.credit_account_key), (d.key)) k(account_key)
        WHERE k.account_key IS NOT NULL $$;
CREATE FUNCTION portal.ensure_price_partition(erp text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF erp !~ '^[a-z][a-z0-9_]{0,39}$' THEN
    RAISE EXCEPTION 'not the name of an ERP: %', erp;
  END IF;
  IF to_regclass(format('portal.%I', 'price_' || erp)) IS NULL THEN
    EXECUTE format('CREATE TABLE portal.%I PARTITION OF portal.price FOR VALUES IN (%L) '
                   'WITH (fillfactor = 85)', 'price_' || erp, erp);
  END IF;
END $$;
CREATE FUNCTION sync.only_differing(mine jsonb, other jsonb) RETURNS jsonb
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT coalesce(jsonb_object_agg(m.key, m.value), '{}'::jsonb) FROM jsonb_each(mine) m
        WHERE other -> m.key IS DISTINCT FROM m.value $$;
REVOKE ALL ON FUNCTION portal.ensure_price_partition(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal.ensure_price_partition(text) TO waybill_sync;


GRANT USAGE ON SCHEMA portal TO waybill_sync, waybill_portal_app, waybill_review, waybill_auditor;
GRANT USAGE ON SCHEMA sync TO waybill_sync, waybill_review, waybill_auditor;
GRANT USAGE, CREATE ON SCHEMA staging TO waybill_sync;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA portal TO waybill_sync;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA sync TO waybill_sync;
GRANT DELETE ON sync.reconciliation TO waybill_sync;
REVOKE UPDATE ON sync.attempt, sync.change, sync.audit FROM waybill_sync;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA portal TO waybill_sync;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA sync TO waybill_sync;
GRANT SELECT ON ALL TABLES IN SCHEMA portal TO waybill_review, waybill_auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA sync TO waybill_review, waybill_auditor;

ALTER TABLE portal.dealer ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.dealer FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.dealer FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.dealer FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.dealer FOR SELECT TO waybill_portal_app USING ((erp, key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.dealer TO waybill_portal_app;
ALTER TABLE portal.dealer_group ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.dealer_group FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.dealer_group FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.dealer_group FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.dealer_group FOR SELECT TO waybill_portal_app USING ((erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.dealer_group TO waybill_portal_app;
ALTER TABLE portal.dealer_address ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.dealer_address FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.dealer_address FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.dealer_address FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.dealer_address FOR SELECT TO waybill_portal_app USING ((erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.dealer_address TO waybill_portal_app;
ALTER TABLE portal.dealer_contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.dealer_contact FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.dealer_contact FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.dealer_contact FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.dealer_contact FOR SELECT TO waybill_portal_app USING ((erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.dealer_contact TO waybill_portal_app;
ALTER TABLE portal.credit ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.credit FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.credit FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.credit FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.credit FOR SELECT TO waybill_portal_app USING ((dealer_erp, account_key) IN (SELECT a.erp, a.account_key FROM portal.my_accounts() a));
GRANT SELECT ON portal.credit TO waybill_portal_app;
ALTER TABLE portal.invoice ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.invoice FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.invoice FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.invoice FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.invoice FOR SELECT TO waybill_portal_app USING ((dealer_erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (dealer_erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.invoice TO waybill_portal_app;
ALTER TABLE portal.invoice_line ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.invoice_line FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.invoice_line FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.invoice_line FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.invoice_line FOR SELECT TO waybill_portal_app USING ((dealer_erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (dealer_erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.invoice_line TO waybill_portal_app;
ALTER TABLE portal.payment ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.payment FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.payment FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.payment FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.payment FOR SELECT TO waybill_portal_app USING ((dealer_erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.payment TO waybill_portal_app;
ALTER TABLE portal.payment_allocation ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.payment_allocation FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.payment_allocation FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.payment_allocation FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.payment_allocation FOR SELECT TO waybill_portal_app USING ((dealer_erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.payment_allocation TO waybill_portal_app;
ALTER TABLE portal.document ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.document FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.document FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.document FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.document FOR SELECT TO waybill_portal_app USING ((dealer_erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (dealer_erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.document TO waybill_portal_app;
ALTER TABLE portal.sales_order ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.sales_order FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.sales_order FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.sales_order FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.sales_order FOR SELECT TO waybill_portal_app USING ((dealer_erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (dealer_erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.sales_order TO waybill_portal_app;
ALTER TABLE portal.sales_order_line ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.sales_order_line FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.sales_order_line FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.sales_order_line FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.sales_order_line FOR SELECT TO waybill_portal_app USING ((dealer_erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (dealer_erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.sales_order_line TO waybill_portal_app;
ALTER TABLE portal.order_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.order_event FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.order_event FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.order_event FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.order_event FOR SELECT TO waybill_portal_app USING ((dealer_erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (dealer_erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.order_event TO waybill_portal_app;
ALTER TABLE portal.shipment ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.shipment FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.shipment FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.shipment FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.shipment FOR SELECT TO waybill_portal_app USING ((dealer_erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (dealer_erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.shipment TO waybill_portal_app;
ALTER TABLE portal.shipment_line ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.shipment_line FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.shipment_line FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.shipment_line FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.shipment_line FOR SELECT TO waybill_portal_app USING ((dealer_erp, dealer_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m) OR (dealer_erp, account_key) IN (SELECT m.erp, m.dealer_key FROM portal.my_dealers() m));
GRANT SELECT ON portal.shipment_line TO waybill_portal_app;
ALTER TABLE portal.dealer_account ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal.dealer_account FORCE ROW LEVEL SECURITY;
CREATE POLICY synced ON portal.dealer_account FOR ALL TO waybill_sync USING (true) WITH CHECK (true);
CREATE POLICY seen ON portal.dealer_account FOR SELECT TO waybill_owner, waybill_review, waybill_auditor USING (true);
CREATE POLICY own ON portal.dealer_account FOR SELECT TO waybill_portal_app USING (portal_dealer_id = (SELECT portal.current_dealer()));
GRANT SELECT ON portal.dealer_account TO waybill_portal_app;
GRANT SELECT ON portal.category TO waybill_portal_app;
GRANT SELECT ON portal.product TO waybill_portal_app;
GRANT SELECT ON portal.product_text TO waybill_portal_app;
GRANT SELECT ON portal.product_uom TO waybill_portal_app;
GRANT SELECT ON portal.product_category TO waybill_portal_app;
GRANT SELECT ON portal.product_document TO waybill_portal_app;
GRANT SELECT ON portal.substitute TO waybill_portal_app;
GRANT SELECT ON portal.warehouse TO waybill_portal_app;
GRANT SELECT ON portal.stock TO waybill_portal_app;
GRANT SELECT ON portal.stock_expected TO waybill_portal_app;

CREATE VIEW portal.feed_status AS
SELECT c.erp, c.feed, c.scope_key, c.batch_id AS last_good_batch, c.confirmed_at,
       now() - c.confirmed_at AS age,
       make_interval(mins => p.promise_minutes) AS promise,
       now() - c.confirmed_at > make_interval(mins => p.promise_minutes) AS late
FROM sync.cursor c JOIN sync.feed_promise p ON p.feed = c.feed
WHERE c.confirmed_at IS NOT NULL;
GRANT SELECT ON portal.feed_status TO waybill_sync, waybill_portal_app,
  waybill_review, waybill_auditor;
