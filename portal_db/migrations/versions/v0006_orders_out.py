"""Orders out: what dealers place, holds, the outbox, its attempts, the circuits, and who may what.

The tables are those of `portal_db/order_tables.py`; `v0006_orders_out.sql` is frozen once released.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
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
    """Going back is restoring a backup: dropping orders is not a migration."""
    message = "restore a backup instead"
    raise RuntimeError(message)
