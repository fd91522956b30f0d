"""Keeps an ERP's subscriptions alive: makes them, renews them before half their life is over.

A subscription that the ERP forgot is made again and its feed pulled, for the calls that never came.
Must not take calls.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from connectors import open_subscriptions
from connectors.odata_subscriptions import ODataSubscriptions, Subscription
from mappings.errors import SourceChanged, WaybillError
from mappings.webhooks import Subscribing, Webhooks
from portal_db import webhooks
from portal_db.webhooks import Kept
from sync.budget import erp_budget
from sync.connection import resolve
from sync.context import Context
from sync.wake import Wake
from sync.webhooks import client_state

log = logging.getLogger(__name__)

_BEFORE_HALF = 0.45
_FORGOTTEN = frozenset({"missing_entity", "gone"})


def keep_subscriptions(
    ctx: Context, base_url: str, wake: Wake, *, now: datetime | None = None
) -> dict[str, str]:
    """Bring every mapping's subscriptions up to date; returns `erp/resource` → what was done.

    `base_url`: where the gateway is reached by ERPs; `/webhooks/<erp>` is added. What fails is
    recorded and tried again by the next call; one ERP's failure is not another's.
    """
    at = now or datetime.now(UTC)
    done: dict[str, str] = {}
    for erp, mapping in ctx.mappings.mappings.items():
        words = mapping.webhooks
        if words is None or words.subscribe is None:
            continue
        url = f"{base_url.rstrip('/')}/webhooks/{erp}"
        with ctx.connection() as connection:
            known = webhooks.subscriptions(connection, erp)
        due = [
            resource
            for resource in words.feeds
            if _is_due(known.get(resource), url, words.subscribe, at)
        ]
        if due:
            done |= _bring_up(ctx, erp, words, due, known, url, wake, at)
    return done


def _is_due(known: Kept | None, url: str, words: Subscribing, at: datetime) -> bool:
    if known is None or known.subscription_id is None or known.url != url:
        return True
    if known.renewed_at is None or known.expires_at is None:
        return True
    life = known.expires_at - known.renewed_at or timedelta(hours=words.hours)
    return at >= known.renewed_at + life * _BEFORE_HALF


def _bring_up(
    ctx: Context,
    erp: str,
    words: Webhooks,
    due: list[str],
    known: dict[str, Kept],
    url: str,
    wake: Wake,
    at: datetime,
) -> dict[str, str]:
    done: dict[str, str] = {}
    mapping = ctx.erp(erp)
    subscribe = words.subscribe or Subscribing.model_validate({})
    connection_of = resolve(ctx.settings, mapping.connection)
    with open_subscriptions(
        connection_of, erp, subscribe.entity, budget=erp_budget(ctx, erp, "now")
    ) as wire:
        for resource in due:
            kept = known.get(resource)
            try:
                said, what = _renewed_or_made(ctx, wire, erp, resource, kept, url, words)
            except WaybillError as error:
                log.warning("%s", error.located(erp, None), extra={"erp": erp})
                with ctx.connection() as connection:
                    webhooks.failed(connection, erp, resource, url, str(error), lost=False)
                done[f"{erp}/{resource}"] = "failed"
                continue
            expires_at = said.expires_at or at + timedelta(hours=subscribe.hours)
            with ctx.connection() as connection:
                webhooks.keep(
                    connection,
                    erp,
                    resource,
                    url,
                    subscription_id=said.id,
                    etag=said.etag,
                    at=at,
                    expires_at=expires_at,
                )
            done[f"{erp}/{resource}"] = what
            if what == "made again":  # calls of the meantime never came
                wake(erp, words.feeds[resource])
    return done


def _renewed_or_made(
    ctx: Context,
    wire: ODataSubscriptions,
    erp: str,
    resource: str,
    kept: Kept | None,
    url: str,
    words: Webhooks,
) -> tuple[Subscription, str]:
    what = "made"
    if kept is not None and kept.subscription_id is not None:
        old = Subscription(kept.subscription_id, kept.expires_at, kept.etag)
        if kept.url == url:
            try:
                return wire.renew(old), "renewed"
            except SourceChanged as error:
                if error.code not in _FORGOTTEN:
                    raise
        else:
            wire.end(old)  # the gateway has moved
        what = "made again"
    elif kept is not None and kept.renewed_at is not None:
        what = "made again"
    return wire.create(resource, url, client_state(ctx.settings, erp, resource, words)), what
