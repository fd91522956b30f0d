"""Every page of the desk, in the order of its menu: one line a module."""

from __future__ import annotations

from review.web import home
from review.web.gate import Page

PAGES: tuple[Page, ...] = (
    *home.ROUTES,
)  # fmt: skip
