"""Which feeds must be there before another: from references and the mapping's `refers`.

Must not load anything.
"""

from __future__ import annotations

from mappings.feeds import FEEDS, PARTS
from sync.context import Context, declared

_OWNER = {"customers": "dealer", "products": "product"}
"""Required feed → the part whose `refers` entry names the ERP that must supply it."""


def required(ctx: Context, erp: str, feed: str) -> list[tuple[str, str]]:
    """(erp, feed) pairs that must have a done run first, without ERPs that map no such feed."""
    refers = ctx.refers(erp, feed)
    found = []
    for name in declared(feed).requires:
        part = _OWNER.get(name, declared(name).main)
        owner = refers.get(part, erp)
        mapping = ctx.mappings.mappings.get(owner)
        if PARTS[part].feed == name and mapping is not None and name in mapping.feeds:
            found.append((owner, name))
    return found


def in_order(ctx: Context, erps: list[str]) -> list[tuple[str, str]]:
    """Every (erp, feed) of these ERPs, each after what it requires, else in the feeds' order."""
    wanted = [(erp, feed) for erp in erps for feed in _feeds(ctx, erp)]
    placed: list[tuple[str, str]] = []
    waiting = list(wanted)
    while waiting:
        ready = [
            one
            for one in waiting
            if all(need in placed or need not in wanted for need in required(ctx, *one))
        ]
        # A circle cannot come from the feeds' own requirements; take what is left as it stands.
        chosen = ready[0] if ready else waiting[0]
        placed.append(chosen)
        waiting.remove(chosen)
    return placed


def _feeds(ctx: Context, erp: str) -> list[str]:
    mapped = ctx.erp(erp).feeds
    return [name for name in FEEDS if name in mapped]
