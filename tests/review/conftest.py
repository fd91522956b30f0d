"""The engine's world, for what is looked at afterwards."""

from __future__ import annotations

from tests.sync.conftest import world

__all__ = ["world"]
