"""One installation for a test of the engine: a database, a landing store, ERPs on loopback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from mappings.settings import Settings
from portal_db.counts import Counts
from sync.context import Context
from sync.feed import sync_feed
from sync.load import Outcome, load
from sync.pull import pull
from tests.sync import far_side
from tests.sync.far_side import FileErp, PageErp

SYNCED = ("batch_id", "record_no", "row_hash", "as_of", "deleted_at", "stale_since")


class World:
    """What a test drives and looks at. `mill` sends files, `forge` sends pages."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.mill = FileErp(folder / "mill")
        self.forge = PageErp()
        self._connections: dict[str, object] = {}
        self._ctx: Context | None = None
        self._admin: psycopg.Connection[Any] | None = None

    def start(self) -> None:
        """Let the ERPs listen and write the file of connections."""
        self.mill.start()
        self.forge.start()
        self.connect("mill", self.mill.connection())
        self.connect("forge", self.forge.connection())

    def connect(self, erp: str, connection: dict[str, object]) -> None:
        """Add an ERP to the file of connections."""
        self._connections[erp] = connection
        self.settings.connections_file.write_text(json.dumps(self._connections), encoding="utf-8")
        self.settings.connections_file.chmod(0o600)

    def stop(self) -> None:
        """Give everything back."""
        self.forget()
        if self._admin is not None:
            self._admin.close()
        self.mill.stop()
        self.forge.stop()

    # mappings

    def map(self, erp: str, feeds: Mapping[str, Any], **more: object) -> None:
        """Write an ERP's mapping and read all of them again."""
        far_side.write_mapping(self.settings.mappings[0], far_side.mapping(erp, feeds, **more))
        self.forget()

    def forget(self) -> None:
        """As a new process: open everything again when it is next needed."""
        if self._ctx is not None:
            self._ctx.close()
            self._ctx = None

    @property
    def ctx(self) -> Context:
        """The engine's context, opened when first needed."""
        if self._ctx is None:
            self._ctx = Context.open(self.settings)
        return self._ctx

    # the engine's verbs

    def pull(self, erp: str, feed: str, *, now: datetime | None = None) -> int:
        """Land a batch; fails where another process is at it."""
        batch_id = pull(self.ctx, erp, feed, now=now)
        assert batch_id is not None
        return batch_id

    def load(self, batch_id: int, **more: Any) -> Outcome:
        """Load a batch."""
        return load(self.ctx, batch_id, **more)

    def run(self, erp: str, feed: str, *, now: datetime | None = None) -> Outcome:
        """Pull and load, nothing after it."""
        return self.load(self.pull(erp, feed, now=now))

    def sync(self, erp: str, feed: str) -> Outcome:
        """Everything `waybill sync` does for one feed."""
        outcome = sync_feed(self.ctx, erp, feed)
        assert outcome is not None
        return outcome

    # looking

    @property
    def admin(self) -> psycopg.Connection[Any]:
        """A superuser's connection in autocommit, for looking and for breaking things."""
        if self._admin is None or self._admin.closed:
            url = self.settings.database_url
            assert url is not None
            self._admin = psycopg.connect(url, autocommit=True)
        return self._admin

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        cursor = self.admin.execute(query, parameters or None)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []

    def one(self, query: str, *parameters: object) -> Any:
        """The single value of a statement."""
        ((value,),) = self.sql(query, *parameters)
        return value

    def keys(self, part: str, key: str = "key") -> set[str]:
        """Keys of the live rows of a part."""
        return {k for (k,) in self.sql(f"SELECT {key} FROM portal.{part} WHERE deleted_at IS NULL")}

    def rows(self, part: str, field: str, key: str = "key") -> dict[str, Any]:
        """Key → a field, of the live rows of a part."""
        return dict(self.sql(f"SELECT {key}, {field} FROM portal.{part} WHERE deleted_at IS NULL"))

    def versions(self, part: str) -> set[tuple[Any, ...]]:
        """What PostgreSQL knows of every row version: unchanged means not rewritten."""
        return set(self.sql(f"SELECT ctid, xmin::text FROM portal.{part}"))

    def batch_state(self, batch_id: int) -> str:
        """State of a batch."""
        return str(self.one("SELECT state FROM sync.batch WHERE id = %s", batch_id))

    def items(self, state: str = "open") -> dict[str, dict[str, Any]]:
        """Key → quarantine item of that state (of one key, the newest)."""
        found = self.sql(
            "SELECT key, row_to_json(q) FROM sync.quarantine q WHERE state = %s ORDER BY id", state
        )
        return dict(found)

    def staging_tables(self) -> list[str]:
        """Names of staging tables that are there."""
        return [
            n for (n,) in self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'staging'")
        ]

    def portal(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every synced table without what differs from run to run: times, batch ids."""
        tables = [
            n
            for (n,) in self.sql(
                "SELECT table_name FROM information_schema.columns WHERE table_schema = 'portal' "
                "AND column_name = 'row_hash' AND table_name NOT LIKE 'price\\_%'"
            )
        ]
        found = {}
        for name in sorted(tables):
            columns = [
                c
                for (c,) in self.sql(
                    "SELECT column_name FROM information_schema.columns WHERE table_schema = "
                    "'portal' AND table_name = %s ORDER BY ordinal_position",
                    name,
                )
                if c not in SYNCED
            ]
            listed = ", ".join(columns)
            rows = self.sql(
                f"SELECT {listed}, deleted_at IS NOT NULL, stale_since IS NOT NULL "
                f"FROM portal.{name} ORDER BY {listed}"
            )
            if rows:
                found[name] = rows
        return found

    def check_law(self) -> None:
        """The ledger's law on every done and held run and each of its parts."""
        law = "read <> inserted + updated + unchanged + superseded + quarantined + deferred"
        assert self.sql(f"SELECT id FROM sync.run WHERE state IN ('done', 'held') AND {law}") == []
        assert self.sql(f"SELECT run_id, part FROM sync.run_part WHERE {law}") == []
        assert (
            self.sql(
                "SELECT r.id FROM sync.run r LEFT JOIN sync.run_part p ON p.run_id = r.id "
                "WHERE r.state IN ('done', 'held') GROUP BY r.id "
                "HAVING r.read <> coalesce(sum(p.read), 0)"
            )
            == []
        )


def counted(outcome: Outcome, part: str | None = None) -> dict[str, int]:
    """What is not zero of a run's ledger (or of one part's)."""
    counts: Counts = outcome.counts if part is None else outcome.parts[part]
    named = {name: getattr(counts, name) for name in Counts.__dataclass_fields__}
    return {name: n for name, n in named.items() if n}
