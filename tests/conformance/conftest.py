"""What every conformance test of the engine starts from."""

from __future__ import annotations

from tests.sync.conftest import world
from tests.sync.test_killed import forking

__all__ = ["forking", "world"]
