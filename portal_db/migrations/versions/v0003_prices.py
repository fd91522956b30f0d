"""The read path of prices: three partial indexes, the resolver's statement, and parity's tables.

`v0003_prices.sql` is frozen once released: a later change is a later migration.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything; on a price list of millions of rows this takes a minute."""
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
