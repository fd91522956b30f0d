"""Roles, grants and row-level security, as SQL that follows from the feeds.

Used by the first migration (frozen there as text) and by the test that enumerates every
dealer-owned table. Must not connect or execute anything.
"""

from __future__ import annotations

from mappings.feeds import PARTS
from mappings.vocabulary import Part

ROLES = (
    "waybill_owner",
    "waybill_sync",
    "waybill_portal_app",
    "waybill_review",
    "waybill_auditor",
)

_CATALOGUE = ("category", "product", "product_text", "product_uom", "product_category")
_SHOWN = (*_CATALOGUE, "product_document", "substitute", "warehouse", "stock", "stock_expected")


def role_sql() -> str:
    """Creates the roles that are missing and lets the migrating user act as each of them."""
    lines = []
    for role in ROLES:
        lines.append(
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') "
            f"THEN CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS; END IF; "
            # another database of this server may be migrated at the same moment
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;"
        )
        lines.append(f"GRANT {role} TO CURRENT_USER;")
    # a first load is built by sync and taken over by the owner, as the ERP's partition
    lines.append("GRANT waybill_sync TO waybill_owner;")
    return "\n".join(lines)


def _visible(part: Part) -> str:
    """The condition under which one portal dealer sees a row of a dealer-owned part."""
    names = {f.name for f in part.fields}
    space = "erp" if part.feed == "customers" else "dealer_erp"
    mine = "(SELECT m.erp, m.dealer_key FROM portal.my_dealers() m)"
    if part.name == "dealer":
        return f"(erp, key) IN {mine} OR (erp, account_key) IN {mine}"
    if part.name == "credit":
        return (
            "(dealer_erp, account_key) IN (SELECT a.erp, a.account_key FROM portal.my_accounts() a)"
        )
    tests = []
    if "dealer_key" in names:
        tests.append(f"({space}, dealer_key) IN {mine}")
    if "account_key" in names:
        tests.append(f"({space}, account_key) IN {mine}")
    return " OR ".join(tests)


def owned_parts() -> tuple[str, ...]:
    """Names of the tables that carry forced row-level security, beside dealer_account."""
    return tuple(p.name for p in PARTS.values() if p.owned)


def row_security_sql() -> str:
    """Forced row-level security on every dealer-owned table, failing closed without a dealer."""
    lines = []
    for name in (*owned_parts(), "dealer_account"):
        if name == "dealer_account":
            visible = "portal_dealer_id = (SELECT portal.current_dealer())"
        else:
            visible = _visible(PARTS[name])
        table = f"portal.{name}"
        lines += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY;",
            (
                f"CREATE POLICY synced ON {table} FOR ALL TO waybill_sync "
                "USING (true) WITH CHECK (true);"
            ),
            (
                f"CREATE POLICY seen ON {table} FOR SELECT TO waybill_owner, waybill_review, "
                "waybill_auditor USING (true);"
            ),
            f"CREATE POLICY own ON {table} FOR SELECT TO waybill_portal_app USING ({visible});",
            f"GRANT SELECT ON {table} TO waybill_portal_app;",
        ]
    lines += [f"GRANT SELECT ON portal.{name} TO waybill_portal_app;" for name in _SHOWN]
    return "\n".join(lines)


FUNCTIONS = """
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
"""

STATUS_VIEW = """
CREATE VIEW portal.feed_status AS
SELECT c.erp, c.feed, c.scope_key, c.batch_id AS last_good_batch, c.confirmed_at,
       now() - c.confirmed_at AS age,
       make_interval(mins => p.promise_minutes) AS promise,
       now() - c.confirmed_at > make_interval(mins => p.promise_minutes) AS late
FROM sync.cursor c JOIN sync.feed_promise p ON p.feed = c.feed
WHERE c.confirmed_at IS NOT NULL;
GRANT SELECT ON portal.feed_status TO waybill_sync, waybill_portal_app,
  waybill_review, waybill_auditor;
"""


def grants_sql() -> str:
    """What each role may do; what is not here is not allowed."""
    return """
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
"""
