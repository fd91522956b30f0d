"""Alembic's home: one file a version, frozen once released."""
