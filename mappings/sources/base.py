"""What every kind of source shares: strict models, paging end, declared totals.

A source says where a part's records are and how the connector walks to them. It holds no secret
and no address: those belong to the connection. Must not import anything heavy.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A model of the mapping language: unknown words are refused, values are immutable text."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)
