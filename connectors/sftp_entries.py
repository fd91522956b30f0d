"""What the server lists, and what is read of it. Plain values; must not decide anything."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One file as the server lists it. `size` and `modified_at` (its clock) may be unknown.

    `name` is what people and patterns see, `raw` the bytes that the server knows it by.
    """

    name: str
    size: int | None
    modified_at: int | None
    raw: bytes = b""

    @property
    def asked_by(self) -> bytes:
        """The name to ask the server with."""
        return self.raw or self.name.encode()


@dataclass(frozen=True, slots=True)
class Choice:
    """The files to read, in order, and what was left out and why."""

    files: tuple[Entry, ...]
    notes: tuple[str, ...]
    complete: bool
