"""Every page of the desk, in the order of its menu: one line a module."""

from __future__ import annotations

from review.web import feeds, group, held, home, item, jobs, messages
from review.web.gate import Page

PAGES: tuple[Page, ...] = (
    *home.ROUTES,
    *group.ROUTES,
    *item.ROUTES,
    *jobs.ROUTES,
    *held.ROUTES,
    *messages.ROUTES,
    *feeds.ROUTES,
)
