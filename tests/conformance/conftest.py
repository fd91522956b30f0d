"""What every conformance test of the engine starts from."""

from __future__ import annotations

from tests.sync.conftest import world

__all__ = ["world"]
