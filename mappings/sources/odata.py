"""The words of an OData source, version 4 or 2. Declares; the wire is `connectors/odata.py`."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mappings.sources.base import Strict


class ODataSource(Strict):
    """One entity set. By default paging follows the server's own links to their end."""

    protocol: Literal["odata"]
    version: Literal["4", "2"] = Field(
        default="4", description="of the service; SAP Gateway and Business One's old root speak 2"
    )
    entity: str = Field(description="entity set, relative to the connection's service root")
    records: str = Field(
        default="value",
        description="path to the array of records in a page; d/results where version is 2",
    )
    expand: tuple[str, ...] = Field(
        default=(), description="navigation properties to ask for with $expand"
    )
    filter: str | None = Field(
        default=None, description="fixed $filter, combined with the cursor by `and`"
    )
    order: str | None = Field(
        default=None, description="$orderby; needed where the server pages by skip"
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="fixed request headers, e.g. B1S-CaseInsensitive; never a secret",
    )
    paging: Literal["link", "seek", "skip"] = Field(
        default="link",
        description="link: the server's nextLink. seek: `key` greater than the last one read. "
        "skip: $skip over `order`; rows that come or go meanwhile are noticed, not found",
    )
    key: str | None = Field(
        default=None, description="seek: the one property that the server sorts by; unique"
    )
    page_size: int | None = Field(
        default=None, ge=1, description="link: odata.maxpagesize preference; else $top"
    )
    count: bool = Field(default=True, description="ask for $count and compare with what came")
    cursor: str | None = Field(
        default=None, description="property whose largest value is the next cursor"
    )
    delta: Literal["cursor", "link"] = Field(
        default="cursor",
        description="link: the server's own delta link is the cursor (odata.track-changes)",
    )
    deleted: bool = Field(
        default=False,
        description="ask for deletion markers: records with @removed are tombstones",
    )

    @model_validator(mode="before")
    @classmethod
    def _records_of_version(cls, given: Any) -> Any:  # noqa: ANN401  before the types are known
        if isinstance(given, dict) and given.get("version") == "2":
            return {"records": "d/results", **given}
        return given

    @model_validator(mode="after")
    def _words_that_belong_together(self) -> Self:
        needs = {"seek": ("key", self.key), "skip": ("order", self.order)}
        if self.paging != "link":
            word, value = needs[self.paging]
            if not value or self.page_size is None:
                message = f"paging: {self.paging} needs `{word}` and `page_size`"
                raise ValueError(message)
        if self.delta == "link" and (self.paging != "link" or self.cursor or self.version == "2"):
            message = "delta: link goes with version 4, paging: link and no `cursor`"
            raise ValueError(message)
        return self
