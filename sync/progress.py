"""How far a long step is: a function that the engine calls and that the caller may draw.

Must not draw, log or decide anything.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with the step's name, what is done, and how much there is (None: not known)."""

    def __call__(self, step: str, done: int, total: int | None) -> None:
        """Called often: must return at once."""
        ...


def silent(step: str, done: int, total: int | None) -> None:
    """Nobody looks."""
    del step, done, total
