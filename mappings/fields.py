"""One field of a mapping: where it comes from and what is done to it. Declares only."""

from __future__ import annotations

from pydantic import Field

from mappings.sources.base import Strict


class FieldMapping(Strict):
    """Ours: theirs. Exactly one of `from` and `const`; a field without source is `absent`."""

    from_: str | tuple[str, ...] | None = Field(
        None, alias="from", description="one path in the record, or several for one step"
    )
    const: str | None = Field(None, description="the same value for every record, as text")
    through: tuple[str, ...] = Field(
        (), description="named steps of mappings/steps.py, left to right"
    )
    lookup: str | None = Field(None, description="name of a table in `lookups`: their code to ours")

    @property
    def paths(self) -> tuple[str, ...]:
        """The source paths this field reads, in order; empty for a constant."""
        if self.from_ is None:
            return ()
        return (self.from_,) if isinstance(self.from_, str) else self.from_
