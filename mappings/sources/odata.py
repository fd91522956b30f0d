"""The words of an OData v4 source. Declares; the wire is `connectors/odata.py`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mappings.sources.base import Strict


class ODataSource(Strict):
    """One entity set; paging follows the server's nextLink to its end."""

    protocol: Literal["odata"]
    entity: str = Field(description="entity set, relative to the connection's service root")
    records: str = Field(default="value", description="path to the array of records in a page")
    expand: tuple[str, ...] = Field(
        default=(), description="navigation properties to ask for with $expand"
    )
    filter: str | None = Field(
        default=None, description="fixed $filter, combined with the cursor by `and`"
    )
    order: str | None = Field(
        default=None, description="$orderby; needed where the server pages by skip"
    )
    page_size: int | None = Field(default=None, description="odata.maxpagesize preference")
    count: bool = Field(default=True, description="ask for $count and compare with what came")
    cursor: str | None = Field(
        default=None, description="property whose largest value is the next cursor"
    )
    deleted: bool = Field(
        default=False,
        description="ask for deletion markers: records with @removed are tombstones",
    )
