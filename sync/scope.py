"""What one batch speaks for: the whole feed, named values of a field, or a window.

A snapshot deletes only inside its scope. Must not read a clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, LiteralString
from zoneinfo import ZoneInfo

from mappings.spec import FeedMapping
from mappings.vocabulary import Part
from portal_db.delta import DeleteScope


@dataclass(frozen=True, slots=True)
class Scope:
    """`key` names the scope for cursors and the order of batches; windows share the key."""

    key: str
    field: str | None = None
    values: tuple[str, ...] = ()
    since: date | None = None

    def as_json(self) -> dict[str, Any] | None:
        """The stored form; None for the whole feed."""
        if self.field is None:
            return None
        return {
            "field": self.field,
            "values": list(self.values),
            "since": self.since.isoformat() if self.since else None,
        }

    def deletes(self, part: Part) -> DeleteScope | None:
        """Which live rows of a root part a complete batch speaks for; None: of no row."""
        if self.field is None:
            return DeleteScope("true")
        name: LiteralString | None = next(
            (f.name for f in part.fields if f.name == self.field), None
        )
        if name is None:
            return None
        if self.values:
            return DeleteScope(f"t.{name} = ANY(%s)", (list(self.values),))
        return DeleteScope(f"t.{name} >= %s", (self.since,))


def scope_of(mapping: FeedMapping, time_zone: str, at: datetime) -> Scope:
    """The scope of a batch pulled at `at`."""
    if mapping.scope is None:
        return Scope("")
    named = mapping.scope
    if named.values:
        return Scope(
            f"{named.field}={json.dumps(sorted(named.values))}", named.field, tuple(named.values)
        )
    since = at.astimezone(ZoneInfo(time_zone)).date() - timedelta(days=named.days or 0)
    return Scope(f"{named.field}>=", named.field, since=since)


def scope_from_json(key: str, stored: dict[str, Any] | None) -> Scope:
    """The scope a batch was pulled with."""
    if stored is None:
        return Scope(key)
    since = stored.get("since")
    return Scope(
        key,
        stored["field"],
        tuple(stored.get("values") or ()),
        date.fromisoformat(since) if since else None,
    )
