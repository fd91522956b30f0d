"""Every page of the desk, in the order of its menu: one line a module."""

from __future__ import annotations

from review.web import (
    explained,
    feeds,
    figures,
    group,
    held,
    home,
    item,
    jobs,
    messages,
    quality,
    reconciliation,
    rules,
    trail,
)
from review.web.gate import Page

PAGES: tuple[Page, ...] = (
    *home.ROUTES,
    *group.ROUTES,
    *item.ROUTES,
    *jobs.ROUTES,
    *rules.ROUTES,
    *held.ROUTES,
    *messages.ROUTES,
    *feeds.ROUTES,
    *quality.ROUTES,
    *reconciliation.ROUTES,
    *explained.ROUTES,
    *trail.ROUTES,
    *figures.ROUTES,
)
