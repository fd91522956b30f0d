"""The staging tables of one run, and how a staged part reads as portal columns.

Each run stages into unlogged tables of its own, `staging.run_<id>_<part>`, by binary COPY, and
drops them at its end. Nothing here judges, and nothing here writes to schema `portal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from mappings.feeds import PARTS
from mappings.vocabulary import Feed, Field, Part
from portal_db.copying import Copying
from portal_db.identifiers import plain_name
from portal_db.named_keys import NamedKeys
from portal_db.schema import referring, spaces
from portal_db.staged_types import staged_columns, staged_fields, staged_type

_FILLED: LiteralString = "75"
"""Per cent of a page that a first list fills: a fifth of it may change and stays in its pages."""
SAMPLE_TARGET: LiteralString = "20"
"""Statistics from 6,000 rows instead of 30,000: enough to tell many from few."""
DOCUMENT_COLUMNS = ("state", "sha256", "bytes", "media_type")


@dataclass(slots=True)
class Staging:
    """The staging tables of one run of one feed.

    `connection` is in autocommit: staging is not part of the run's transaction. `refers` maps a
    part name to the ERP whose keys references to it use.
    """

    connection: psycopg.Connection[Any]
    run_id: int
    erp: LiteralString
    feed: Feed
    refers: Mapping[str, LiteralString]
    first: bool = False
    """The staged table becomes the ERP's first partition: nothing is compared, all rows are new."""
    narrowed: bool = False
    """Only unknown records are staged: the portal's other rows are those of skipped ones."""
    named: NamedKeys = field(default_factory=NamedKeys)
    """What the rows of a first list refer to."""
    gone: int = 0
    """How many keys `_gone` was given: fewer mean that the database restarted."""
    constants: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Part → field → the value that the mapping gives every record of it: it is not sent."""
    indexes: set[str] = field(default_factory=set)
    """Indexes of the first list that are there already, by the name of the portal's."""
    differing: dict[str, dict[str, int]] = field(default_factory=dict)
    """What the delta of each part holds, where it has been counted since it was `changed`."""
    _created: list[LiteralString] = field(default_factory=list)
    _counted: dict[tuple[str, str], int] = field(default_factory=dict)
    _copying: Copying = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is copied yet."""
        self._copying = Copying(self.connection)

    def table(self, part: str, suffix: str = "") -> LiteralString:
        """Qualified name of a staging table of this run."""
        return f"staging.{plain_name(f'run_{self.run_id}_{part}{suffix}')}"

    def create(self, parts: Iterable[Part]) -> None:
        """Create the empty tables of every part, and the one for documents."""
        for part in parts:
            lasting = self.first and part.name == self.feed.main
            columns = staged_columns(part, self.erp if lasting else None)
            self._create(self.table(part.name), columns, lasting=lasting)
            self._set_defaults(part)
            keys: list[LiteralString] = [f"{k} {staged_type(part.field(k).type)}" for k in part.key]
            self._create(self.table(part.name, "_failed"), [*keys, "record_no bigint"])
            if self.narrowed and part.name == self.feed.main:
                self._create(self.table(part.name, "_gone"), keys)
            if part.name == "document":
                self._create(
                    self.table("document", "_files"),
                    [
                        "location text PRIMARY KEY",
                        "state text NOT NULL",
                        "sha256 text",
                        "bytes bigint",
                        "media_type text",
                    ],
                )

    def _create(
        self, name: LiteralString, columns: list[LiteralString], *, lasting: bool = False
    ) -> None:
        kind, more = ("", f" WITH (fillfactor = {_FILLED})") if lasting else ("UNLOGGED ", "")
        self.connection.execute(f"CREATE {kind}TABLE {name} ({', '.join(columns)}){more}")
        self._created.append(name)

    def _set_defaults(self, part: Part) -> None:
        """What every record of the part has is the column's default, and is never sent."""
        values = self.constants.get(part.name, {})
        if values:
            changes = sql.SQL(", ").join(
                sql.SQL("ALTER COLUMN {} SET DEFAULT {}").format(
                    sql.Identifier(name), sql.Literal(value)
                )
                for name, value in values.items()
            )
            table = sql.SQL(self.table(part.name))
            self.connection.execute(sql.SQL("ALTER TABLE {} {}").format(table, changes))

    def create_as(
        self,
        name: LiteralString,
        query: LiteralString,
        parameters: tuple[object, ...],
        joined: Iterable[LiteralString],
    ) -> None:
        """Create and fill a table by one SELECT; the planner is told of the `joined` columns."""
        with psycopg.ClientCursor(self.connection) as cursor:  # no parameters travel beside it
            cursor.execute(f"CREATE UNLOGGED TABLE {name} AS {query}", parameters)
        self._created.append(name)
        self._gather_statistics(f"{name} ({', '.join(joined)})")

    def _gather_statistics(self, what: LiteralString) -> None:
        with self.connection.transaction():
            self.connection.execute(f"SET LOCAL default_statistics_target = {SAMPLE_TARGET}")
            self.connection.execute(f"ANALYZE {what}")

    def copy(self, part: Part, table: pa.Table) -> int:
        """Append typed rows: the staged fields and the bookkeeping columns."""
        constant = self.constants.get(part.name, {})
        names: list[LiteralString] = [
            *(f.name for f in staged_fields(part) if f.name not in constant),
            *("record_no", "root_no", "raw_hash", "version"),
        ]
        if pc.any(table["deleted"]).as_py():
            names.append("deleted")
        frozen = self.first and part.name == self.feed.main
        if frozen:
            self.named.add(part, table)
        return self._copy(self.table(part.name), names, table, ", FREEZE" if frozen else "")

    def copy_failed(self, part: Part, table: pa.Table) -> int:
        """Append the keys of records that were rejected: they have not vanished."""
        return self._copy(self.table(part.name, "_failed"), [*part.key, "record_no"], table)

    def copy_gone(self, part: Part, table: pa.Table) -> int:
        """Append keys whose records did not come again: each is changed, or has vanished."""
        return self._copy(self.table(part.name, "_gone"), part.key, table)

    def count_gone(self, part: Part) -> int:
        """How many keys `_gone` holds."""
        row = self.connection.execute(
            f"SELECT count(*) FROM {self.table(part.name, '_gone')}"
        ).fetchone()
        return int(row[0]) if row else 0

    def copy_files(self, rows: list[dict[str, object]]) -> None:
        """What became of the documents this batch's pull asked for."""
        with self.connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {self.table('document', '_files')} VALUES "
                "(%(location)s, %(state)s, %(sha256)s, %(bytes)s, %(media_type)s) "
                "ON CONFLICT DO NOTHING",
                rows,
            )

    def _copy(
        self,
        name: LiteralString,
        columns: Iterable[LiteralString],
        table: pa.Table,
        more: LiteralString = "",
    ) -> int:
        if table.num_rows == 0:
            return 0
        # a column of which nothing came costs nothing: it is null, or what its default says
        came: list[LiteralString] = [c for c in columns if table[c].null_count < table.num_rows]
        statement = f"COPY {name} ({', '.join(came)}) FROM STDIN WITH (FORMAT BINARY{more})"
        self._copying.put(statement, table.select(came))
        return table.num_rows

    @contextmanager
    def filling(self, *, made: Callable[[Staging], None] | None = None) -> Iterator[None]:
        """While it lasts, tables are copied in the background and nothing else may be asked.

        `made` may add to the tables while they are empty.

        The rows of a first list are written as old as they will ever be (FREEZE): nobody has to
        come back and mark them. For that the table must be as new as its rows: one transaction.
        """
        with ExitStack() as stack:
            if self.first:
                stack.enter_context(self.connection.transaction())
            self.create(self.feed.parts)
            if made is not None:
                made(self)
            stack.enter_context(self._copying.ahead())
            yield
        if self.first:  # a logged table, and the server's own word for what it holds
            into = f"COPY {self.table(self.feed.main)} ("
            taken = (n for name, n in self._copying.copied.items() if name.startswith(into))
            self._counted[self.feed.main, "true"] = sum(taken)

    def analyze(self, part: Part) -> None:
        """Give the planner the sizes it is about to join."""
        joined = (*part.key, "record_no", "root_no", *referring(part))
        own = {f.name for f in staged_fields(part)} | {"record_no", "root_no"}
        columns = ", ".join(name for name in dict.fromkeys(joined) if name in own)
        self._gather_statistics(f"{self.table(part.name)} ({columns})")

    def given_away(self, part: Part) -> None:
        """The part's table is the portal's now: it is not dropped with the others."""
        self._created.remove(self.table(part.name))

    def count(self, part: Part, where: LiteralString = "true") -> int:
        """Rows staged of a part (those of accepted roots only: `source` filters the rest).

        A first list is counted once: only `changed` makes it another.
        """
        asked = (part.name, where)
        if not self.first or asked not in self._counted:
            self._counted[asked] = self._rows(part, where)
        return self._counted[asked]

    def changed(self) -> None:
        """Rows were taken out."""
        self._counted.clear()
        self.differing.clear()

    def _rows(self, part: Part, where: LiteralString = "true") -> int:
        row = self.connection.execute(
            f"SELECT count(*) FROM {self.table(part.name)} WHERE {where}"
        ).fetchone()
        return int(row[0]) if row else 0

    def raw_counts(self, parts: Iterable[Part]) -> dict[str, int]:
        """Rows physically there: compared before the diff and in the apply transaction.

        A first list is no unlogged table, which a crash would empty: what was counted stays true.
        """
        main = self.feed.main if self.first else None
        return {p.name: self.count(p) if p.name == main else self._rows(p) for p in parts}

    def drop(self) -> None:
        """Drop every table of this run."""
        for name in reversed(self._created):
            self.connection.execute(f"DROP TABLE IF EXISTS {name} CASCADE")  # with its view
        self._created.clear()

    def source(self, part: Part) -> LiteralString:
        """A SELECT of the staged part with exactly the portal's columns, plus bookkeeping.

        A child appears only with its root, which gives it its parent key and copied fields.
        """
        joins: list[LiteralString] = []
        columns: list[LiteralString] = [
            "s.record_no",
            "s.root_no",
            "s.raw_hash",
            "s.deleted",
            "s.version",
        ]
        if part.parent is not None:
            root = self.feed.part(part.parent)
            joins.append(f"JOIN ({self.source(root)}) r ON r.record_no = s.root_no")
        columns.extend(f"{self._expression(part, one, joins)} AS {one.name}" for one in part.fields)
        columns.extend(
            f"'{self.refers.get(space, self.erp)}'::text AS {space}_erp" for space in spaces(part)
        )
        if part.name == "document":
            joins.append(
                f"LEFT JOIN {self.table('document', '_files')} f ON f.location = s.location"
            )
            joins.append(
                f"LEFT JOIN portal.document d ON d.erp = '{self.erp}' AND d.key = s.key "
                "AND d.location = s.location"
            )
            columns.append("coalesce(f.state, d.state, 'pending') AS state")
            columns.extend(
                f"CASE WHEN f.state IS NOT NULL THEN f.{c} ELSE d.{c} END AS {c}"
                for c in DOCUMENT_COLUMNS[1:]
            )
        return f"SELECT {', '.join(columns)} FROM {self.table(part.name)} s {' '.join(joins)}"

    def _expression(self, part: Part, one: Field, joins: list[LiteralString]) -> LiteralString:
        if one.name == part.parent_field:
            return "r.key"
        if one.copied_from is None:
            return f"s.{one.name}::jsonb" if one.type == "json" else f"s.{one.name}"
        from_part, from_field = one.copied_from
        if from_part == part.parent:
            return f"r.{from_field}"
        reference: LiteralString = next(
            r.field for r in part.references if r.to == from_part and not r.when
        )
        alias = f"k_{from_part}"
        join: LiteralString = (
            f"LEFT JOIN portal.{from_part} {alias} "
            f"ON {alias}.erp = '{self.refers.get(from_part, self.erp)}' "
            f"AND {alias}.key = s.{reference}"
        )
        if join not in joins:
            joins.append(join)
        if PARTS[from_part].feed != self.feed.name:
            return f"{alias}.{from_field}"
        staged: LiteralString = (
            f"LEFT JOIN ({self.source(PARTS[from_part])}) g_{from_part} "
            f"ON g_{from_part}.key = s.{reference}"
        )
        if staged not in joins:
            joins.append(staged)
        return f"coalesce(g_{from_part}.{from_field}, {alias}.{from_field})"
