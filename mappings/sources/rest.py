"""The words of a plain REST, JSON-RPC or XML-RPC source. Declares; the wire is
`connectors/rest.py`.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mappings.sources.base import Strict


class OffsetPaging(Strict):
    """`offset` counts the records that came; a page without records ends it."""

    by: Literal["offset"]
    offset: str = Field(description="parameter that says how many records to skip")
    limit: str | None = Field(default=None, description="parameter for the page size")
    size: int | None = Field(default=None, ge=1, description="records per page to ask for")


class NumberPaging(Strict):
    """Numbered pages; a page without records, or the declared last one, ends it."""

    by: Literal["page"]
    page: str = Field(description="parameter that says which page")
    first: int = Field(default=1, ge=0, description="number of the first page")
    limit: str | None = Field(default=None, description="parameter for the page size")
    size: int | None = Field(default=None, ge=1, description="records per page to ask for")
    pages: str | None = Field(default=None, description="answer path: how many pages there are")


class TokenPaging(Strict):
    """Each answer hands out what the next request carries; none, null or false ends it."""

    by: Literal["cursor"]
    cursor: str = Field(description="parameter that carries the token")
    next: str = Field(description="answer path of the next token")
    limit: str | None = Field(default=None, description="parameter for the page size")
    size: int | None = Field(default=None, ge=1, description="records per page to ask for")


class LinkPaging(Strict):
    """The answer says the next page's address: in its Link header (rel="next"), or at a path."""

    by: Literal["link"]
    next: str | None = Field(
        default=None, description="answer path of the address; else the header"
    )
    limit: str | None = Field(default=None, description="parameter for the page size")
    size: int | None = Field(default=None, ge=1, description="records per page to ask for")


RestPaging = Annotated[
    OffsetPaging | NumberPaging | TokenPaging | LinkPaging, Field(discriminator="by")
]


class RestErrors(Strict):
    """How this ERP says no inside a successful answer (JSON-RPC always does)."""

    path: str = Field(default="error", description="answer path; anything there is an error")
    code: str | None = Field(default=None, description="answer path of its code")
    text: str | None = Field(default=None, description="answer path of its text")
    ok: tuple[str, ...] = Field(default=(), description="codes that mean success")
    expired: tuple[str, ...] = Field(default=(), description="codes: sign in again")
    denied: tuple[str, ...] = Field(default=(), description="codes: the account has no right to it")
    throttled: tuple[str, ...] = Field(default=(), description="codes: slow down")
    passing: tuple[str, ...] = Field(default=(), description="codes: try again in a moment")


class Period(Strict):
    """One value of `each`, read between its days (both included)."""

    value: str
    starts: date | None = None
    ends: date | None = None


class Each(Strict):
    """The same question for several values, in one extract: a firm's accounting periods."""

    parameter: str = Field(description="parameter that carries the value")
    values: tuple[Period, ...] = Field(min_length=1, description="in the order they are read")


_FAULT = {"path": "fault", "code": "fault/faultCode", "text": "fault/faultString"}


class RestSource(Strict):
    """One question whose answers are JSON pages of records, or XML-RPC's.

    A *parameter* is one of the query, or where there is a `body` a path in it (`params/offset`).
    """

    protocol: Literal["rest"]
    path: str = Field(description="relative to the connection's service root")
    method: Literal["GET", "POST"] = "GET"
    speaks: Literal["json", "xml_rpc"] = Field(
        default="json",
        description="xml_rpc: the `body` ({method, params}) is sent as a call, and what comes back "
        "is `result` (or `fault`, which `errors` finds by itself)",
    )
    body: str | None = Field(
        default=None, description="JSON text of the question, for POST; paging is put into it"
    )
    parameters: dict[str, str] = Field(
        default_factory=dict, description="fixed parameters of the query"
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="fixed request headers; never a secret"
    )
    records: str = Field(description="answer path of the array of records; . = the whole answer")
    page: RestPaging | None = None
    count: str | None = Field(
        default=None, description="answer path declaring how many records there are in all"
    )
    count_header: str | None = Field(
        default=None, description="answer header declaring the same, e.g. X-Total-Count"
    )
    since: str | None = Field(default=None, description="parameter that takes the cursor")
    cursor: str | None = Field(
        default=None, description="record path whose largest value is the next cursor"
    )
    errors: RestErrors | None = None
    each: Each | None = None

    @property
    def refusals(self) -> RestErrors | None:
        """How this ERP says no in a successful answer; XML-RPC has one way for all."""
        if self.speaks == "json":
            return self.errors
        given = {} if self.errors is None else self.errors.model_dump(exclude_unset=True)
        return RestErrors.model_validate({**_FAULT, **given})

    @model_validator(mode="after")
    def _words_that_belong_together(self) -> Self:
        if self.body is None:
            if self.speaks == "xml_rpc":
                message = "speaks: xml_rpc needs a `body` with `method` and `params`"
                raise ValueError(message)
            return self
        if self.method != "POST":
            message = "a `body` goes with method: POST"
            raise ValueError(message)
        try:
            found = json.loads(self.body)
        except ValueError as error:
            message = f"`body` is not JSON: {error}"
            raise ValueError(message) from None
        if not isinstance(found, dict):
            message = "`body` must be a JSON object"
            raise ValueError(message)  # noqa: TRY004  pydantic's way to refuse
        wanted = isinstance(found.get("method"), str) and isinstance(found.get("params", []), list)
        if self.speaks == "xml_rpc" and not wanted:
            message = "speaks: xml_rpc needs a `body` of {method: text, params: [list]}"
            raise ValueError(message)
        return self
