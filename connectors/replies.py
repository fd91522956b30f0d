"""An answer's document as plain texts by path, and what of an exchange may be kept.

For all senders. Must not parse values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lxml import etree

_SHOWN: Final = 20_000
HIDDEN: Final = "***"
_SECRET_HEADERS: Final = re.compile(
    r"auth|cookie|token|secret|key|session|signature", re.IGNORECASE
)
"""Headers whose value is never kept, by any part of their name."""
_SECURITY: Final = re.compile(rb"<(?P<tag>(?:[\w.-]+:)?Security)\b.*?</(?P=tag)\s*>", re.DOTALL)


def cleared(text: str | bytes, secrets: Iterable[str]) -> str:
    """What went over the wire as it may be kept: no WS-Security header, no secret, not endless."""
    raw = text.encode() if isinstance(text, str) else text
    shown = _SECURITY.sub(rb"<\g<tag>>" + HIDDEN.encode() + rb"</\g<tag>>", raw)
    clean = shown.decode("utf-8", errors="backslashreplace").replace("\x00", "\\x00")
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        clean = clean.replace(secret, HIDDEN)
    return clean if len(clean) <= _SHOWN else f"{clean[:_SHOWN]}… ({len(clean)} characters in all)"


def kept_headers(headers: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Headers as they may be kept."""
    listed = tuple(secrets)
    return {
        name: HIDDEN if _SECRET_HEADERS.search(name) else cleared(value, listed)
        for name, value in headers.items()
    }


def element_texts(element: etree._Element, without: str | None = None) -> dict[str, str | None]:
    """Path of local names below an element → text; nil is None. `without`: a branch left out."""
    found: dict[str, str | None] = {}

    def walk(one: etree._Element, path: str) -> None:
        for child in one:
            if not isinstance(child.tag, str):
                continue
            here = f"{path}{etree.QName(child).localname}"
            if without is not None and here == without.split("/")[0]:
                continue
            if len(child):
                walk(child, f"{here}/")
            else:
                nil = child.get("{http://www.w3.org/2001/XMLSchema-instance}nil") in ("true", "1")
                found.setdefault(here, None if nil else child.text or "")

    walk(element, "")
    return found


def elements_at(root: etree._Element, path: str) -> list[etree._Element]:
    """Every element at a path of local names below another; `.` is the element itself."""
    here = [root]
    for name in () if path == "." else path.split("/"):
        here = [c for one in here for c in one if isinstance(c.tag, str)
                and etree.QName(c).localname == name]  # fmt: skip
    return here


def object_texts(record: Mapping[str, Any], without: str | None = None) -> dict[str, str | None]:
    """The same for a JSON object whose numbers are texts already."""
    found: dict[str, str | None] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            inner = object_texts(value)
            found |= {f"{name}/{below}": text for below, text in inner.items()}
        elif isinstance(value, list) or name == without:
            continue
        elif isinstance(value, bool):
            found[name] = "true" if value else "false"
        else:
            found[name] = None if value is None else str(value)
    return found


def objects_at(record: Mapping[str, Any], path: str) -> list[Mapping[str, Any]]:
    """Every object at a path below another; `.` is the object itself."""
    here: list[Any] = [record]
    for name in () if path == "." else path.split("/"):
        below = [one.get(name) for one in here if isinstance(one, Mapping)]
        here = [c for one in below for c in (one if isinstance(one, list) else [one])]
    return [one for one in here if isinstance(one, Mapping)]
