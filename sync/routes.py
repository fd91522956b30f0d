"""What dealers may send to which ERP, out of the mappings into the database.

The portal places orders by a function of the database, which knows no mapping: this tells it. Must
not send anything.
"""

from __future__ import annotations

from mappings.messages import KINDS
from mappings.spec import ErpMapping
from portal_db import outbox
from sync.context import Context
from sync.mapping_text import mapping_text


def publish_routes(ctx: Context) -> None:
    """Bring `sync.order_route` in line with the mappings; a broken mapping keeps what it had."""
    with ctx.connection() as connection:
        for name, mapping in ctx.mappings.mappings.items():
            _, sha256 = mapping_text(ctx, name)
            kinds = [kind for kind in KINDS if mapping.outbound(kind) is not None]
            if outbox.published(connection, name) == dict.fromkeys(kinds, sha256):
                continue
            with connection.transaction():
                outbox.withdraw_routes(connection, name, kinds)
                for kind in kinds:
                    _publish(connection, mapping, kind, sha256)


def _publish(connection: outbox.Connection, mapping: ErpMapping, kind: str, sha256: str) -> None:
    how = mapping.outbound(kind)
    if how is None:
        return
    dealers = mapping.refers.get("dealer", mapping.erp)
    products = mapping.refers.get("product", mapping.erp)
    stocks = mapping.erp if "stock" in mapping.feeds else None
    outbox.publish_route(
        connection,
        mapping.erp,
        kind,
        release=how.release,
        dealer_erp=dealers,
        product_erp=products,
        stock_erp=stocks if how.hold_stock else None,
        mapping_sha256=sha256,
    )
