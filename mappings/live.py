"""The words for what is asked of an ERP while somebody waits: its credit, price and stock of now.

An ask reads one source with some parameters and maps the answer with a feed's words. Declares, and
puts parameters into a source; must not reach an ERP or a database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from mappings.fields import FieldMapping
from mappings.sources import ODataSource, RestSource, SoapSource, Source
from mappings.sources.base import Strict

What = Literal["credit", "price", "stock"]
Absent = Literal["absent"]


class LiveAsk(Strict):
    """How one thing is asked: the source, what it is asked for, and what the answer means."""

    source: Source
    parameters: dict[str, str] = Field(
        description="their name of a parameter to ours: a request element (SOAP), a property that "
        "must be equal (OData), a parameter of the query (REST)"
    )
    fields: dict[str, FieldMapping | Absent]


class Live(Strict):
    """What an ERP can be asked at once. What is absent is answered from what was synced."""

    credit: LiveAsk | Absent = "absent"
    price: LiveAsk | Absent = "absent"
    stock: LiveAsk | Absent = "absent"

    def ask(self, what: What) -> LiveAsk | None:
        """How it is asked; None where the ERP cannot be."""
        found: LiveAsk | Absent = getattr(self, what)
        return None if found == "absent" else found


_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def with_parameters(
    source: Source, parameters: Mapping[str, str], values: Mapping[str, str], numbers: set[str]
) -> Source:
    """The source, asking for these values (our name → text); a parameter without value is left out.

    `numbers`: our names whose values are written without quotes. Raises ValueError for a protocol
    that cannot be asked, and for a number that is none.
    """
    given = {theirs: values[ours] for theirs, ours in parameters.items() if ours in values}
    if isinstance(source, SoapSource):
        return source.model_copy(update={"request": {**source.request, **given}})
    if isinstance(source, ODataSource):
        bare = {theirs for theirs, ours in parameters.items() if ours in numbers}
        tests = [f"{name} eq {_literal(text, bare=name in bare)}" for name, text in given.items()]
        if source.filter:
            tests.insert(0, f"({source.filter})")
        return source.model_copy(update={"filter": " and ".join(tests) or None})
    if isinstance(source, RestSource) and source.body is None:
        return source.model_copy(update={"parameters": {**source.parameters, **given}})
    message = f"{source.protocol} cannot be asked"
    raise ValueError(message)


def _literal(text: str, *, bare: bool) -> str:
    if bare:
        if not _NUMBER.fullmatch(text):
            message = f"{text!r} is no number"
            raise ValueError(message)
        return text
    return "'" + text.replace("'", "''") + "'"
