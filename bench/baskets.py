"""What dealers ask for prices, and every shape of the question that the benchmark compares.

Must not run a statement: these are their texts.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.price_list import DAY, ERP


@dataclass(frozen=True, slots=True)
class Basket:
    """What one dealer asks: half of it has a price of its own."""

    dealer: int
    products: tuple[str, ...]
    keys: tuple[str, ...]
    """As many headers at random, for the plain key look-ups."""

    @property
    def scopes(self) -> list[str]:
        """What the dealer is a member of."""
        return ["all", f"contract|C{self.dealer % 200 + 1}", f"tier|T{self.dealer % 5}"]


def _list(values: list[str] | tuple[str, ...]) -> str:
    return "ARRAY[" + ",".join(f"'{one}'" for one in values) + "]::text[]"


def keys(basket: Basket) -> str:
    """The limit: as many rows by primary key, in one statement."""
    return (
        "SELECT header_key, unit_price, currency, valid_from, valid_to FROM portal.price "
        f"WHERE erp = '{ERP}' AND min_qty = 1 AND header_key = ANY ({_list(basket.keys)})"
    )


def candidates(basket: Basket, *, every: bool = False) -> str:
    """The shipped statement."""
    n = len(basket.products)
    return (
        f"SELECT * FROM portal.price_candidates('{ERP}', '{ERP}', 'D{basket.dealer:06d}', "
        f"'D{basket.dealer:06d}', {_list(basket.scopes)}, '{ERP}', {_list(basket.products)}, "
        f"array_fill('PCE'::text, ARRAY[{n}]), array_fill(1::numeric, ARRAY[{n}]), "
        f"'EUR', '{DAY}', 1, {str(every).lower()})"
    )


def portal(basket: Basket) -> str:
    """The same as the portal calls it: whose dealer, which groups, which grants, then prices."""
    n = len(basket.products)
    return (
        f"SELECT * FROM portal.resolve_prices('{ERP}', '{ERP}', 'D{basket.dealer:06d}', '{ERP}', "
        f"{_list(basket.products)}, array_fill('PCE'::text, ARRAY[{n}]), "
        f"array_fill(1::numeric, ARRAY[{n}]), 'EUR', '{DAY}', 1, false, false)"
    )


COLUMNS = "product_key, level, header_key, min_qty"
_HOLDS = (
    f"erp = '{ERP}' AND currency = 'EUR' AND valid_from <= '{DAY}' AND min_qty <= 1 "
    f"AND (valid_to IS NULL OR valid_to > '{DAY}') AND deleted_at IS NULL"
)


def by_or(basket: Basket) -> str:
    """The obvious way, as a comparison: an OR over whom a price addresses."""
    groups = " OR ".join(
        f"(dealer_group_kind = '{kind}' AND dealer_key = '{key}')"
        for kind, _, key in (scope.partition("|") for scope in basket.scopes)
        if key
    )
    return (
        f"SELECT {COLUMNS} FROM portal.price WHERE {_HOLDS} AND product_key = ANY "
        f"({_list(basket.products)}) AND (dealer_scope = 'all' OR (dealer_scope = 'group' AND "
        f"({groups})) OR (dealer_scope = 'dealer' AND dealer_key = 'D{basket.dealer:06d}'))"
    )


def by_probe(basket: Basket) -> str:
    """One probe per product and address, as a comparison."""
    scope = "portal.price_scope(p.dealer_scope, p.dealer_group_kind, p.dealer_key)"
    return (
        f"SELECT x.* FROM unnest({_list(basket.products)}) AS k (key) CROSS JOIN LATERAL ("
        f"SELECT {COLUMNS} FROM portal.price p WHERE {_HOLDS} AND p.product_key = k.key AND "
        "p.product_scope = 'product' AND p.dealer_scope IN ('all', 'group') AND p.level <> 'quote' "
        f"AND {scope} = ANY ({_list(basket.scopes)}) UNION ALL SELECT {COLUMNS} "
        f"FROM portal.price p WHERE {_HOLDS} AND p.product_key = k.key AND "
        "p.product_scope = 'product' AND p.dealer_scope IN ('dealer', 'account') AND "
        f"p.dealer_key = 'D{basket.dealer:06d}') x"
    )
