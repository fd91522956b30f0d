"""Personal values as a role may see them: an operator in the clear, an auditor masked.

Masked letter by letter under the installation's key: what was equal stays equal, so that an
auditor still sees that two rows name the same person. Must not change what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings.feeds import FEEDS, PARTS
from mappings.settings import Settings
from review.signing import signing_key
from sync.masking import masked, personal

Row = dict[str, Any]


class Veil:
    """One reader's view. `clear`: personal values are shown."""

    def __init__(self, settings: Settings, *, clear: bool) -> None:
        self.clear = clear
        self._key = b"" if clear else signing_key(settings).private_bytes_raw()

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

    def explained(self, found: Row) -> Row:
        """What `sync.explain` found. Bytes of a feed that holds people are not shown masked: not
        at all, since nobody knows where in them a name stands.
        """
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
        if "text" in evidence and any(
            field.personal for one in FEEDS[PARTS[part].feed].parts for field in one.fields
        ):
            del evidence["text"]
            evidence["hidden"] = "The bytes of this feed name people: an operator may see them."
        return {
            **found,
            "row": self.fields(part, found["row"]),
            "changes": [
                {**one, "old": self.fields(part, one["old"]), "new": self.fields(part, one["new"])}
                for one in found["changes"]
            ],
            "corrections": [
                {**one, **{n: self.fields("", one[n]) for n in ("changes", "was")}}
                for one in found["corrections"]
            ],
            "mapping": {**found["mapping"], "fields": lines},
            "evidence": evidence,
        }


def speaks_of_people(part: str, field: str) -> bool:
    """Is a field declared personal, or does its name say so where it is no field of ours?"""
    known = {one.name: one for one in PARTS[part].fields} if part in PARTS else {}
    return known[field].personal if field in known else personal(field)
