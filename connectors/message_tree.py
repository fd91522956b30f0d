"""Paths of a request or a message as the nested object that an ERP takes.

Must not know a protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nested(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Paths with slashes as nested objects, as JSON and zeep take them."""
    top: dict[str, Any] = {}
    for path, text in texts.items():
        *above, last = path.split("/")
        inner = top
        for word in above:
            inner = inner.setdefault(word, {})
        inner[last] = text
    return top
