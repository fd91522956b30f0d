"""Personal values as a role may see them: an operator in the clear, an auditor masked.

One key for every page and every export: a person has one pseudonym, so that an auditor still sees
that two rows name the same one. What speaks about people is declared (`sync/people.py`); of bytes,
where nobody knows in which place a name stands, only what is known to be nobody's is shown. Must
not change what is stored.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mappings.settings import Settings
from review.signing import signing_key
from sync.masking import masked, personal
from sync.people import DECLARED, Columns, speaks_of_people

Row = dict[str, Any]

_XML = re.compile(
    r"<!--(.*?)-->|<!\[CDATA\[(.*?)\]\]>|\s(?!xmlns)[\w:.-]+\s*=\s*(?:\"([^\"]*)\"|'([^']*)')"
    r"|>([^<>]+)(?=<|$)",
    re.DOTALL,
)
_JSON = re.compile(  # a name is taken whole and left as it is
    r'"(?:[^"\\]|\\.)*"(?=\s*:)|"((?:[^"\\]|\\.)*)"|(?<![\w.-])(-?\d[\d.eE+-]*)'
)
_EDGES = r";,|\t\r\n\"'+:=~^*<>"  # what stands between values where there is no markup
_BETWEEN = re.compile(f"([{_EDGES}]+)")


class Veil:
    """One reader's view. `clear`: personal values are shown."""

    def __init__(self, settings: Settings, *, clear: bool) -> None:
        self.clear = clear
        self._key = b""
        if not clear:
            secret = signing_key(settings).private_bytes_raw()
            self._key = hmac.digest(secret, b"veil", "sha256")  # apart from what is signed with it

    def value(self, part: str, field: str, value: object) -> Any:  # noqa: ANN401 - any value of a row
        """A value of a part's field; a text that speaks about a person is masked."""
        if self.clear or value is None or not speaks_of_people(part, field):
            return value
        return masked(str(value), self._key)

    def fields(self, part: str, values: Mapping[str, object] | None) -> Row | None:
        """The same for several fields of one row."""
        if values is None:
            return None
        return {name: self.value(part, name, value) for name, value in values.items()}

    def text(self, columns: Columns, path: str, value: str | None) -> str | None:
        """The ERP's text in one of its columns."""
        if self.clear or value is None or not columns.personal(path):
            return value
        return masked(value, self._key)

    def record(self, columns: Columns, texts: Mapping[str, str | None]) -> dict[str, str | None]:
        """A whole record of the ERP, path by path."""
        return {path: self.text(columns, path, value) for path, value in texts.items()}

    def content(self, text: str, known: Iterable[str | None]) -> str:
        """A record's bytes as text: masked but for its markup and the `known` values, which speak
        about nobody, where they stand as wholes.
        """
        if self.clear:
            return text
        shown = {one.strip() for one in known if one and one.strip()}
        begin = text.lstrip()[:1]
        if begin not in ("<", "{", "["):
            return self._cells(text, shown)
        made, last = "", 0
        for found in (_XML if begin == "<" else _JSON).finditer(text):
            place = found.lastindex or 0
            start, end = found.span(place)
            if place and text[start:end].strip() not in shown:
                made += text[last:start] + masked(text[start:end], self._key)
                last = end
        return made + text[last:]

    def payload(self, value: Any, name: str = "") -> Any:  # noqa: ANN401 - any JSON
        """Any JSON, its leaves masked whose names speak about people in any part of ours, or in
        the words of an ERP.
        """
        if self.clear:
            return value
        if isinstance(value, Mapping):
            return {key: self.payload(one, str(key)) for key, one in value.items()}
        if isinstance(value, list):
            return [self.payload(one, name) for one in value]
        hidden = isinstance(value, str) and (name in DECLARED or personal(name))
        return masked(value, self._key) if hidden else value

    def reasons(self, reasons: Iterable[Row], part: str) -> list[Row]:
        """What is wrong with a record of a part, as quarantine keeps it."""
        return [
            {**one, "raw": self.value(str(one.get("part") or part), str(one["field"]), one["raw"])}
            for one in reasons
        ]

    def explained(self, found: Row, columns: Columns) -> Row:
        """What `sync.explain` found; `columns`: of the row's part, as mapped now."""
        if self.clear:
            return found
        part = str(found["table"]).removeprefix("portal.")
        lines = [
            {**line, "value": self.value(part, line["field"], line["value"])}
            | (
                {"raw": {k: self.value(part, line["field"], v) for k, v in line["raw"].items()}}
                if "raw" in line
                else {}
            )
            for line in found["mapping"]["fields"]
        ]
        evidence = dict(found["evidence"])
        if evidence.get("text") is not None:
            evidence["text"] = self.content(
                evidence["text"],
                [
                    raw
                    for line in found["mapping"]["fields"]
                    if not speaks_of_people(part, line["field"])
                    for raw in line.get("raw", {}).values()
                ],
            )
        return {
            **found,
            "row": self.fields(part, found["row"]),
            "changes": [
                {**one, "old": self.fields(part, one["old"]), "new": self.fields(part, one["new"])}
                for one in found["changes"]
            ],
            "corrections": [
                {**one, **{n: self.record(columns, one[n]) for n in ("changes", "was")}}
                for one in found["corrections"]
            ],
            "mapping": {**found["mapping"], "fields": lines},
            "evidence": evidence,
        }

    def _cells(self, text: str, shown: set[str]) -> str:
        words = "|".join(map(re.escape, sorted(shown, key=len, reverse=True)))
        whole = re.compile(f"(?<![^{_EDGES}])({words})(?![^{_EDGES}])") if words else _BETWEEN
        pieces = whole.split(text)  # every second one is a word to show, or what stands between
        if whole is _BETWEEN:
            return "".join(one if n % 2 else masked(one, self._key) for n, one in enumerate(pieces))
        return "".join(one if n % 2 else self._cells(one, set()) for n, one in enumerate(pieces))
