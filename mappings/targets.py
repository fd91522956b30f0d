"""Where a message goes, by protocol: the words of `target`. The wire is `connectors/*_send.py`.

A target says how a message is given, how the ERP is asked for it by our reference, and what an
answer looks like. It holds no secret and no address. Must not import anything heavy.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mappings.sources.base import Strict

Cannot = Literal["cannot"]


class NativeKey(Strict):
    """Where our reference goes so that the ERP itself refuses a second one: one of the two."""

    header: str | None = Field(None, description="HTTP header, e.g. Idempotency-Key")
    field: str | None = Field(None, description="element or property, e.g. ExternalId")


class _Target(Strict):
    timeout_seconds: float = Field(30.0, gt=0, description="for one whole try")
    native_key: NativeKey | None = Field(
        None, description="the ERP refuses a second message of one reference by itself"
    )
    safe_503: tuple[str, ...] = Field(
        (), description="texts of a 503 that prove nothing was done; * = every 503"
    )
    exists: tuple[str, ...] = Field(
        (), description="error codes that mean: it is there already, which is a success"
    )
    answer_records: str = Field(
        ".", description="path from the answer's root to the document that was made"
    )
    answer_lines: str | None = Field(None, description="path from there to its repeated line")


class SoapFind(Strict):
    """One operation that looks a document up by our reference."""

    operation: str
    reference: str = Field(description="request element that takes our reference")
    records: str = Field(description="path from the answer's root to the found documents")


class SoapTarget(_Target):
    """One operation of the ERP's WSDL that takes a message."""

    protocol: Literal["soap"]
    operation: str
    find: SoapFind | Cannot
    error: str | None = Field(
        None, description="answer element that holds a business error code inside HTTP 200"
    )
    error_text: str | None = Field(None, description="answer element with that error's text")
    error_ok: tuple[str, ...] = Field((), description="codes of `error` that mean success")


class ODataFind(Strict):
    """A filter on one property."""

    reference: str = Field(description="property that holds our reference")
    entity: str | None = Field(None, description="entity set; default: the one that is written")
    expand: tuple[str, ...] = Field((), description="navigation properties to ask for")


class ODataTarget(_Target):
    """One entity set that takes a POST."""

    protocol: Literal["odata"]
    entity: str
    lines_by: Literal["nested", "batch", "batch_multipart"] = Field(
        "nested",
        description="nested: lines inside the document (deep insert). batch: one $batch in which "
        "the document and its lines are one transaction (JSON); batch_multipart: the same in the "
        "form of version 2. A $batch takes 99 lines",
    )
    find: ODataFind | Cannot


class SftpFind(Strict):
    """The folders in which a file of ours may be; its name is our reference."""

    archive: str = Field(description="where the ERP moves what it has taken")
    error: str = Field(description="where the ERP moves what it refused")
    answers: str | None = Field(None, description="where the ERP answers, under the same name")


class SftpTarget(_Target):
    """A CSV file a message, one record a line, in the folder that the ERP looks into."""

    protocol: Literal["sftp"]
    inbox: str = Field(description="folder that the ERP takes files from")
    suffix: str = Field(".csv", description="what follows our reference in the file's name")
    marker: str | None = Field(
        None, description="suffix of the empty file that is written last, e.g. .done"
    )
    delimiter: str = ";"
    encoding: str = "utf-8"
    find: SftpFind | Cannot


Target = Annotated[SoapTarget | ODataTarget | SftpTarget, Field(discriminator="protocol")]
