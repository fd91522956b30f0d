"""A price list's first load is built aside and attached; readers are not locked out by either way.

`v0002_first_load.sql` is frozen once released.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
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
    """Going back is restoring a backup: prices hang on their partitions."""
    message = "restore a backup instead"
    raise RuntimeError(message)
