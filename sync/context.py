"""What every verb of the engine is given: settings, database, mappings, landing store.

Opened once per process. Must not read the environment (`Settings` did) or migrate anything.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import psycopg
from sqlalchemy import Engine

from mappings.errors import Misconfigured
from mappings.feeds import FEEDS
from mappings.reading import MappingSet, read_mappings
from mappings.settings import Settings
from mappings.spec import ErpMapping, FeedMapping
from mappings.vocabulary import Feed, Guards
from portal_db.engine import open_engine
from portal_db.server import database_url
from sync.landing import Landing


@dataclass(slots=True)
class Context:
    """One process's handles. Use as a context manager, or call `close`."""

    settings: Settings
    engine: Engine
    mappings: MappingSet
    landing: Landing

    @classmethod
    def open(cls, settings: Settings) -> Context:
        """Connect to the database that is there.

        Raises Misconfigured where none runs and none is named.
        """
        url = settings.database_url or database_url(settings)
        if url is None:
            raise Misconfigured(
                "no database is running",
                code="database",
                remedy="Start it with `waybill up`, or set WAYBILL_DATABASE_URL.",
            )
        return cls(
            settings=settings,
            engine=open_engine(url, "sync"),
            mappings=read_mappings(settings.mappings),
            landing=Landing(settings.landing),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def beside(self, connections: int, *, more: int = 0, patience: float | None = None) -> Context:
        """The same over connections of its own, which nothing else can use up; to be closed.

        See `open_engine` for `more` and `patience`.
        """
        url = self.engine.url.render_as_string(hide_password=False)
        engine = open_engine(url, "sync", pool_size=connections, more=more, patience=patience)
        return replace(self, engine=engine)

    def erp(self, name: str) -> ErpMapping:
        """The mapping of one ERP. Raises Misconfigured where it is unknown or broken."""
        if name in self.mappings.mappings:
            return self.mappings.mappings[name]
        if name in self.mappings.broken:
            raise self.mappings.broken[name]
        known = sorted(self.mappings.mappings)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known) or 'none'}."
        raise Misconfigured(
            f"there is no ERP {name!r} in the mappings", code="mapping", remedy=hint
        )

    def feed(self, erp: str, feed: str) -> FeedMapping:
        """How one ERP supplies one feed. Raises Misconfigured where it does not."""
        mapping = self.erp(erp)
        if feed in mapping.feeds:
            return mapping.feeds[feed]
        near = difflib.get_close_matches(feed, mapping.feeds, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"It maps: {', '.join(mapping.feeds)}."
        raise Misconfigured(f"{erp} does not supply {feed!r}", code="mapping", remedy=hint)

    def refers(self, erp: str, feed: str) -> dict[str, str]:
        """Part name → the ERP whose keys references to it use, feed over ERP over itself.

        `dealer` speaks for everything that names dealers, `product` for products and categories.
        """
        mapping = self.erp(erp)
        named = {**mapping.refers, **mapping.feeds[feed].refers}
        if "product" in named:
            named.setdefault("category", named["product"])
        return named

    def guards(self, erp: str, feed: str) -> Guards:
        """The feed's guards with the mapping's overrides on top."""
        override = self.feed(erp, feed).guards.model_dump(exclude_none=True)
        base = declared(feed).guards
        values = {name: getattr(base, name) for name in Guards.__dataclass_fields__}
        return Guards(**{**values, **override})

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """A psycopg connection as role sync, in autocommit; transactions are the caller's."""
        with self.engine.connect() as pooled:
            raw = pooled.connection.driver_connection
            if raw is None:
                message = "the pool gave no connection"
                raise RuntimeError(message)
            pooled.rollback()
            raw.autocommit = True
            try:
                yield raw
            finally:
                if not raw.closed:
                    raw.rollback()
                    raw.autocommit = False


def declared(feed: str) -> Feed:
    """The feed's declaration. Raises Misconfigured where there is no such feed."""
    if feed in FEEDS:
        return FEEDS[feed]
    near = difflib.get_close_matches(feed, FEEDS, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Feeds: {', '.join(FEEDS)}."
    raise Misconfigured(f"there is no feed {feed!r}", code="mapping", remedy=hint)
