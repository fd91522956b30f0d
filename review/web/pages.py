"""Every page of the desk, in the order of its menu: one line a module."""

from __future__ import annotations

from review.web import explained, figures, home, quality, reconciliation, trail
from review.web.gate import Page

PAGES: tuple[Page, ...] = (
    *home.ROUTES,
    *quality.ROUTES,
    *reconciliation.ROUTES,
    *explained.ROUTES,
    *trail.ROUTES,
    *figures.ROUTES,
)  # fmt: skip
