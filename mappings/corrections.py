"""Corrections that a mapping makes every time: texts of one column of the ERP, before it is mapped.

Each has a day until which somebody promised to have the ERP put right. It goes on counting after
that day, since no judgement reads the clock: the desk lists it as overdue until it is taken out of
the file. Must not apply anything.
"""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from mappings.sources.base import Strict

_NEEDS = {
    "replace": {"old", "new"},
    "map": {"values"},
    "trim": set[str](),
    "default": {"new"},
    "regex": {"old", "new"},
}


class ColumnCorrection(Strict):
    """One correction, in the words of the review desk; the ERP's own bytes and hash stay."""

    column: str = Field(description="path of the ERP's column, as a field's `from` names it")
    part: str | None = Field(None, description="whose column; default: the feed's main part")
    kind: Literal["replace", "map", "trim", "default", "regex"] = Field(
        description="replace: a whole text; map: several; trim: blanks around it; default: a text "
        "where it is blank or absent; regex: every match of an RE2 pattern"
    )
    old: str | None = Field(None, description="replace: the whole text; regex: the pattern")
    new: str | None = Field(None, description="the text instead")
    values: dict[str, str] = Field(default_factory=dict, description="map: old text to new text")
    until: date = Field(description="by then the ERP is right and this is taken out again")
    rule: int | None = Field(None, description="the review desk's number of its approval")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = {name for name in ("old", "new") if getattr(self, name) is not None}
        given |= {"values"} if self.values else set()
        needs = _NEEDS[self.kind]
        if given != needs:
            words = ", ".join(f"`{name}`" for name in sorted(needs)) or "nothing else"
            message = f"a correction of kind {self.kind} takes {words}. Correct its words"
            raise ValueError(message)
        return self
