"""Prices: the primary key begins with what tells rows apart.

The SQL stands beside this file.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    raw = op.get_bind().connection.driver_connection
    if raw is None:
        message = "no connection to migrate"
        raise RuntimeError(message)
    raw.execute(script)  # no parameters: psycopg leaves every % alone


def downgrade() -> None:
    """Going back is restoring a backup: dropping evidence is not a migration."""
    message = "restore a backup instead"
    raise RuntimeError(message)
