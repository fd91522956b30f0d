-- an index over millions of rows takes longer than any other statement of a migration
SET LOCAL statement_timeout = '30min';

CREATE FUNCTION portal.price_scope(dealer_scope text, dealer_group_kind text, dealer_key text)
  RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE dealer_scope WHEN 'all' THEN 'all'
               WHEN 'group' THEN dealer_group_kind || '|' || dealer_key
               ELSE dealer_scope || '|' || dealer_key END $$;
COMMENT ON FUNCTION portal.price_scope IS
  'Whom a price addresses, as one text: all, dealer|K1, account|A1, tier|GOLD.';

-- Each row stands in one of them, so a price costs one index entry beside its primary key. Nothing
-- that an update of a price touches is in them: such an update stays within its page (HOT).
CREATE INDEX price_own_idx ON portal.price (dealer_key, product_key)
  WHERE product_scope = 'product' AND dealer_scope IN ('dealer', 'account');
CREATE INDEX price_general_idx ON portal.price
  (product_key, portal.price_scope(dealer_scope, dealer_group_kind, dealer_key))
  WHERE product_scope = 'product' AND dealer_scope IN ('all', 'group') AND level <> 'quote';
CREATE INDEX price_rule_idx ON portal.price
  (portal.price_scope(dealer_scope, dealer_group_kind, dealer_key))
  WHERE product_scope <> 'product' OR (dealer_scope IN ('all', 'group') AND level = 'quote');
CREATE INDEX catalogue_grant_scope_idx ON portal.catalogue_grant
  (portal.price_scope(dealer_scope, dealer_group_kind, dealer_key));

CREATE TYPE portal.price_candidate AS (
  product_key text, level text, header_key text, min_qty numeric, uom text, per bigint,
  unit_price numeric, pct_off_list numeric, amount_off_list numeric, valid_from date, seq bigint,
  quota_left numeric, product_scope text, scope text, combine text, tax_included boolean,
  batch_id bigint, ref text, title text
);

-- The candidates of N products for one dealer, in one statement. The dealer's own prices come first:
-- where one settles the question (a quote or customer price in the ordered unit, reached, without a
-- quota, and nothing of its own off a list price) the levels below are not looked up at all, unless
-- p_all asks for everything.
-- p_scopes: 'all' and what the dealer is a member of, as portal.price_scope writes it.
-- p_upto: breaks above it are left out; NULL keeps all.
CREATE FUNCTION portal.price_candidates(
  p_erp text, p_dealer_erp text, p_dealer_key text, p_account_key text, p_scopes text[],
  p_product_erp text, p_products text[], p_uoms text[], p_quantities numeric[],
  p_currency text, p_day date, p_upto numeric, p_all boolean
) RETURNS SETOF portal.price_candidate
LANGUAGE plpgsql STABLE ROWS 100 AS $$
BEGIN
  RETURN QUERY
  WITH own AS MATERIALIZED (
    SELECT p.product_key, p.level, p.header_key, p.min_qty, p.uom, p.per, p.unit_price,
           p.pct_off_list, p.amount_off_list, p.valid_from, p.seq, p.quota_left, p.product_scope,
           CASE p.dealer_scope WHEN 'dealer' THEN 'dealer' ELSE 'account' END AS scope, p.combine,
           p.tax_included, p.batch_id, p.ref, p.title
    FROM portal.price p
    WHERE p.erp = p_erp AND p.product_scope = 'product' AND p.dealer_scope IN ('dealer', 'account')
      AND p.dealer_key = ANY (ARRAY[p_dealer_key, p_account_key])
      AND p.product_key = ANY (p_products)
      AND CASE p.dealer_scope WHEN 'dealer' THEN p.dealer_key = p_dealer_key
                              ELSE p.dealer_key = p_account_key END
      AND p.currency = p_currency AND p.valid_from <= p_day
      AND (p.valid_to IS NULL OR p.valid_to > p_day) AND p.deleted_at IS NULL
      AND p.dealer_erp = p_dealer_erp AND p.product_erp = p_product_erp
      AND (p_upto IS NULL OR p.min_qty <= p_upto)
  ), rule AS MATERIALIZED (
    SELECT p.product_key, p.level, p.header_key, p.min_qty, p.uom, p.per, p.unit_price,
           p.pct_off_list, p.amount_off_list, p.valid_from, p.seq, p.quota_left, p.product_scope,
           portal.price_scope(p.dealer_scope, p.dealer_group_kind, p.dealer_key) AS scope,
           p.combine, p.tax_included, p.batch_id, p.ref, p.title
    FROM portal.price p
    WHERE p.erp = p_erp
      AND (p.product_scope <> 'product'
           OR (p.dealer_scope IN ('all', 'group') AND p.level = 'quote'))
      AND portal.price_scope(p.dealer_scope, p.dealer_group_kind, p.dealer_key)
          = ANY (p_scopes || ARRAY['dealer|' || p_dealer_key, 'account|' || p_account_key])
      AND (p.product_scope <> 'product' OR p.product_key = ANY (p_products))
      AND p.product_scope <> 'cart'
      AND p.currency = p_currency AND p.valid_from <= p_day
      AND (p.valid_to IS NULL OR p.valid_to > p_day) AND p.deleted_at IS NULL
      AND p.dealer_erp = p_dealer_erp AND p.product_erp = p_product_erp
      AND (p_upto IS NULL OR p.min_qty <= p_upto)
  )
  SELECT * FROM own
  UNION ALL
  SELECT * FROM rule
  UNION ALL
  SELECT p.product_key, p.level, p.header_key, p.min_qty, p.uom, p.per, p.unit_price,
         p.pct_off_list, p.amount_off_list, p.valid_from, p.seq, p.quota_left, p.product_scope,
         portal.price_scope(p.dealer_scope, p.dealer_group_kind, p.dealer_key), p.combine,
         p.tax_included, p.batch_id, p.ref, p.title
  FROM portal.price p
  WHERE p.erp = p_erp AND p.product_scope = 'product' AND p.dealer_scope IN ('all', 'group')
    AND p.level <> 'quote'
    AND p.product_key = ANY (ARRAY(
      SELECT k FROM unnest(p_products) k
      EXCEPT
      SELECT o.product_key FROM own o
      JOIN unnest(p_products, p_uoms, p_quantities) AS l (product_key, uom, qty)
        ON l.product_key = o.product_key AND l.uom = o.uom
      WHERE NOT p_all AND o.level IN ('quote', 'customer') AND o.unit_price IS NOT NULL
        AND o.min_qty <= l.qty AND o.quota_left IS NULL
        AND NOT EXISTS (SELECT FROM rule r WHERE r.level IN ('quote', 'customer'))
        AND NOT EXISTS (SELECT FROM own off WHERE off.product_key = o.product_key
                        AND (off.pct_off_list IS NOT NULL OR off.amount_off_list IS NOT NULL))
    ))
    AND portal.price_scope(p.dealer_scope, p.dealer_group_kind, p.dealer_key) = ANY (p_scopes)
    AND p.currency = p_currency AND p.valid_from <= p_day
    AND (p.valid_to IS NULL OR p.valid_to > p_day) AND p.deleted_at IS NULL
    AND p.dealer_erp = p_dealer_erp AND p.product_erp = p_product_erp
    AND (p_upto IS NULL OR p.min_qty <= p_upto);
END $$;
COMMENT ON FUNCTION portal.price_candidates IS
  'Every condition that may price these products for this dealer on this day; chooses nothing.';
REVOKE ALL ON FUNCTION portal.price_candidates FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal.price_candidates TO waybill_sync;

-- What a dealer is a member of on a day: the scopes of its conditions and grants.
CREATE FUNCTION portal.dealer_scopes(p_dealer_erp text, p_dealer_key text, p_day date)
  RETURNS text[] LANGUAGE sql STABLE
  AS $$ SELECT ARRAY(SELECT DISTINCT g.kind || '|' || g.group_key FROM portal.dealer_group g
          WHERE g.erp = p_dealer_erp AND g.dealer_key = p_dealer_key AND g.deleted_at IS NULL
            AND g.valid_from <= p_day AND (g.valid_to IS NULL OR g.valid_to > p_day))
          || ARRAY['all'] $$;
REVOKE ALL ON FUNCTION portal.dealer_scopes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal.dealer_scopes TO waybill_sync;

-- Which of these products a dealer may see and buy. Deny wins; without a grant p_closed decides.
CREATE FUNCTION portal.authorised_products(
  p_dealer_erp text, p_dealer_key text, p_scopes text[], p_product_erp text, p_products text[],
  p_day date, p_closed boolean
) RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM portal.catalogue_grant g WHERE g.erp = p_product_erp) THEN
    IF NOT p_closed THEN
      RETURN QUERY SELECT unnest(p_products);
    END IF;
    RETURN;
  END IF;
  RETURN QUERY
  WITH RECURSIVE place AS (
    SELECT c.product_key, c.category_key FROM portal.product_category c
    WHERE c.erp = p_product_erp AND c.product_key = ANY (p_products) AND c.deleted_at IS NULL
    UNION
    SELECT pl.product_key, up.parent_key FROM place pl
    JOIN portal.category up ON up.erp = p_product_erp AND up.key = pl.category_key
    WHERE up.parent_key IS NOT NULL AND up.deleted_at IS NULL
  ), told AS (
    SELECT k.product_key, bool_or(g.effect = 'deny') AS denied, bool_or(g.effect = 'allow') AS allowed
    FROM unnest(p_products) AS k (product_key)
    JOIN portal.catalogue_grant g
      ON portal.price_scope(g.dealer_scope, g.dealer_group_kind, g.dealer_key)
         = ANY (p_scopes || ('dealer|' || p_dealer_key))
     AND g.erp = p_product_erp AND (g.dealer_scope = 'all' OR g.dealer_erp = p_dealer_erp)
     AND g.deleted_at IS NULL AND g.valid_from <= p_day
     AND (g.valid_to IS NULL OR g.valid_to > p_day)
     AND (g.product_scope = 'all'
          OR (g.product_scope = 'product' AND g.product_key = k.product_key)
          OR (g.product_scope = 'category' AND EXISTS (
              SELECT FROM place pl
              WHERE pl.product_key = k.product_key AND pl.category_key = g.product_key)))
    GROUP BY k.product_key
  )
  SELECT k FROM unnest(p_products) k LEFT JOIN told t ON t.product_key = k
  WHERE CASE WHEN t.product_key IS NULL THEN NOT p_closed ELSE t.allowed AND NOT t.denied
             OR (NOT p_closed AND NOT t.denied) END;
END $$;
REVOKE ALL ON FUNCTION portal.authorised_products FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal.authorised_products TO waybill_sync;

-- The portal's only way to prices: for a dealer of the signed-in portal dealer, and of products it
-- may see. A product that it may not see gives no row at all: not even that it has a price.
CREATE FUNCTION portal.resolve_prices(
  p_erp text, p_dealer_erp text, p_dealer_key text, p_product_erp text, p_products text[],
  p_uoms text[], p_quantities numeric[], p_currency text, p_day date, p_upto numeric,
  p_all boolean, p_closed boolean
) RETURNS SETOF portal.price_candidate
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 100 AS $$
DECLARE
  v_account text;
  v_scopes text[];
  v_allowed text[];
  v_products text[];
  v_uoms text[];
  v_quantities numeric[];
BEGIN
  SELECT d.account_key INTO v_account FROM portal.dealer d
  JOIN portal.dealer_account a ON a.erp = d.erp AND a.dealer_key = d.key
  WHERE d.erp = p_dealer_erp AND d.key = p_dealer_key AND d.deleted_at IS NULL
    AND a.portal_dealer_id = portal.current_dealer();
  IF NOT FOUND THEN
    RAISE insufficient_privilege USING MESSAGE = 'not a dealer of the one who is signed in';
  END IF;
  v_scopes := portal.dealer_scopes(p_dealer_erp, p_dealer_key, p_day);
  v_allowed := ARRAY(SELECT portal.authorised_products(p_dealer_erp, p_dealer_key, v_scopes,
                                                       p_product_erp, p_products, p_day, p_closed));
  SELECT array_agg(l.product_key), array_agg(l.uom), array_agg(l.qty)
  INTO v_products, v_uoms, v_quantities
  FROM unnest(p_products, p_uoms, p_quantities) AS l (product_key, uom, qty)
  WHERE l.product_key = ANY (v_allowed);
  RETURN QUERY SELECT * FROM portal.price_candidates(
    p_erp, p_dealer_erp, p_dealer_key, v_account, v_scopes, p_product_erp, v_products,
    v_uoms, v_quantities, p_currency, p_day, p_upto, p_all);
  -- which products were answered for: a row without a level
  RETURN QUERY SELECT k, NULL::text, NULL::text, NULL::numeric, NULL::text, NULL::bigint,
    NULL::numeric, NULL::numeric, NULL::numeric, NULL::date, NULL::bigint, NULL::numeric,
    NULL::text, NULL::text, NULL::text, NULL::boolean, NULL::bigint, NULL::text, NULL::text
    FROM unnest(v_allowed) k;
END $$;
REVOKE ALL ON FUNCTION portal.resolve_prices FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal.resolve_prices TO waybill_portal_app;

CREATE TABLE sync.parity (
	id BIGINT GENERATED BY DEFAULT AS IDENTITY,
	erp TEXT NOT NULL,
	price_erp TEXT NOT NULL,
	started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	finished_at TIMESTAMP WITH TIME ZONE,
	lines BIGINT NOT NULL DEFAULT 0,
	explained BIGINT NOT NULL DEFAULT 0,
	unexplained BIGINT NOT NULL DEFAULT 0,
	mapping_sha256 TEXT,
	seconds NUMERIC(12, 3),
	CONSTRAINT parity_pkey PRIMARY KEY (id),
	CONSTRAINT parity_law CHECK (lines = explained + unexplained)
);
CREATE INDEX parity_erp_idx ON sync.parity (erp, id);
COMMENT ON TABLE sync.parity IS 'One comparison of an ERP''s invoice lines with its synced conditions.';
CREATE TABLE sync.parity_item (
	parity_id BIGINT NOT NULL,
	invoice_key TEXT NOT NULL,
	line_no TEXT NOT NULL,
	dealer_erp TEXT,
	dealer_key TEXT,
	product_erp TEXT,
	product_key TEXT,
	qty NUMERIC(18, 6),
	uom TEXT,
	currency TEXT,
	priced_on DATE,
	invoiced NUMERIC,
	invoiced_net NUMERIC(18, 4),
	resolved NUMERIC,
	resolved_net NUMERIC(18, 4),
	level TEXT,
	header_key TEXT,
	min_qty NUMERIC(18, 6),
	reason TEXT,
	says TEXT,
	CONSTRAINT parity_item_pkey PRIMARY KEY (parity_id, invoice_key, line_no)
);
COMMENT ON TABLE sync.parity_item IS 'Every unexplained line of a comparison; of the newest, every line.';
COMMENT ON COLUMN sync.parity_item.invoiced IS 'price of one uom, line discount taken off';
COMMENT ON COLUMN sync.parity_item.resolved IS 'price of one uom by the conditions; NULL: on request';
COMMENT ON COLUMN sync.parity_item.header_key IS 'the condition that won';
COMMENT ON COLUMN sync.parity_item.reason IS 'why it is unexplained; NULL: explained';
CREATE INDEX parity_item_reason_idx ON sync.parity_item (parity_id, reason) WHERE reason IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON sync.parity TO waybill_sync;
GRANT SELECT, INSERT, DELETE ON sync.parity_item TO waybill_sync;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA sync TO waybill_sync;
GRANT SELECT ON sync.parity, sync.parity_item TO waybill_review, waybill_auditor;
