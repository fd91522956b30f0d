"""A document and its lines as one transaction of a $batch: what is asked, and what the answer says.

For ERPs whose entity sets take no nested lines. Must not send, and must not judge an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import httpx

from connectors import odata_batch, odata_multipart
from connectors.odata_batch import Operation, Result

_GROUP: Final = "document"
_OWN: Final = frozenset({"Accept", "Content-Type"})
"""Headers that an operation sets by its form."""


def document_operations(
    entity: str,
    body: Mapping[str, Any],
    lines_path: str,
    lines: Sequence[Mapping[str, Any]],
    headers: Mapping[str, str],
) -> list[Operation]:
    """The document first, then each line below it (`$1/LINES`), all of one group.

    `headers`: of the document, an idempotency key among them.
    """
    own = {name: text for name, text in headers.items() if name not in _OWN}
    first = Operation("1", "POST", entity, body, _GROUP, own)
    return [
        first,
        *(
            Operation(str(n), "POST", f"$1/{lines_path}", line, _GROUP, after="1")
            for n, line in enumerate(lines, 2)
        ),
    ]


def written(
    operations: Sequence[Operation], form: Literal["nested", "batch", "batch_multipart"]
) -> tuple[str, bytes]:
    """(media type, body). ValueError: more operations than a $batch takes."""
    if form == "batch_multipart":
        return odata_multipart.request_body(operations)
    return "application/json", odata_batch.request_body(operations)


def read_results(
    operations: Sequence[Operation], answer: httpx.Response, what: str
) -> list[Result]:
    """What became of each operation, by the form of the answer. Raises Uncertain."""
    media_type = answer.headers.get("content-type", "")
    if media_type.lower().startswith("multipart/"):
        return odata_multipart.results(operations, media_type, answer.content, what)
    return odata_batch.results(operations, answer.content, what)


def error_of(body: object) -> tuple[str | None, str]:
    """(code, message) of an OData error body; (None, '') where it is none."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not error.get("code"):
        return None, ""
    message = error.get("message")
    says = message.get("value") if isinstance(message, dict) else message
    return str(error["code"]), str(says or "")
