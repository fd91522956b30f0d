"""Writes the SQL of a first migration from the metadata: `python -m portal_db.freeze > FILE`.

Used once per new migration that adds whole tables; the file is committed and then left alone.
Must not connect.
"""

from __future__ import annotations

import sys

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment, SetTableComment

from portal_db.engine_tables import metadata
from portal_db.security import FUNCTIONS, STATUS_VIEW, grants_sql, row_security_sql

_DIALECT = postgresql.dialect(paramstyle="named")  # leaves % in comments alone


def ground_floor() -> str:
    """All of the first migration, as one script for the owner role."""
    lines = ["CREATE SEQUENCE portal.portal_dealer_id;"]
    for table in metadata.sorted_tables:
        lines.append(str(CreateTable(table).compile(dialect=_DIALECT)).strip() + ";")
        lines += [
            str(CreateIndex(index).compile(dialect=_DIALECT)) + ";"
            for index in sorted(table.indexes, key=lambda i: str(i.name))
        ]
        if table.comment:
            lines.append(str(SetTableComment(table).compile(dialect=_DIALECT)) + ";")
        lines += [
            str(SetColumnComment(column).compile(dialect=_DIALECT)) + ";"
            for column in table.columns
            if column.comment
        ]
    parts = ["\n".join(lines), FUNCTIONS, grants_sql(), row_security_sql(), STATUS_VIEW]
    return "\n".join(line.rstrip() for line in "\n".join(parts).splitlines()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(ground_floor())
