"""What a person wants done to a record's texts: one correction, for one record or a whole group.

A correction is data: its kind and its words, kept with the job. It turns texts into texts and
knows nothing of types or checks: whether the result is any good is judged like new data. Patterns
are RE2, whose time grows with the text alone. Must not store or judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast, get_args

import pyarrow as pa
import pyarrow.compute as pc

from mappings.errors import Misconfigured
from sync.corrections import Texts

Kind = Literal["edit", "replace", "map", "trim", "default", "regex"]

SAYS: dict[Kind, str] = {
    "edit": "new texts for this one record",
    "replace": "this text → that text, where it is the whole value",
    "map": "a list of texts, each with its new one",
    "trim": "without blanks around it",
    "default": "a text where it is blank or absent",
    "regex": "every match of a pattern → a text",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One correction. `path` is the ERP's column; `edit` has its own paths in `values`."""

    kind: Kind
    path: str = ""
    old: str = ""
    new: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Rule:
        """From what a form or a job holds. Raises Misconfigured (code `correction`)."""
        kind = str(given.get("kind", ""))
        if kind not in get_args(Kind):
            raise _refused(f"there is no correction {kind!r}")
        rule = cls(
            cast("Kind", kind),
            str(given.get("path", "")),
            str(given.get("old", "")),
            str(given.get("new", "")),
            {str(old): str(new) for old, new in (given.get("values") or {}).items()},
        )
        if kind != "edit" and not rule.path:
            raise _refused("it does not say which column")
        if kind in ("edit", "map") and not rule.values:
            raise _refused("it names no new text")
        if kind == "regex":
            if not rule.old:
                raise _refused("it has no pattern")
            rule.changes({rule.path: ""})
        return rule

    def as_json(self) -> dict[str, Any]:
        """What a job keeps."""
        return {name: value for name, value in asdict(self).items() if value}

    def changes(self, texts: Texts) -> dict[str, str]:
        """Path → new text, for what would differ from the record's own."""
        if self.kind == "edit":
            new = dict(self.values)
        else:
            old = texts.get(self.path)
            made = self._new(old)
            new = {} if made is None else {self.path: made}
        return {path: text for path, text in new.items() if texts.get(path) != text}

    def _new(self, old: str | None) -> str | None:
        if self.kind == "default":
            return self.new if old is None or not old.strip() else None
        if old is None:
            return None
        if self.kind == "replace":
            return self.new if old == self.old else None
        if self.kind == "map":
            return self.values.get(old)
        if self.kind == "trim":
            return old.strip()
        try:
            made = pc.replace_substring_regex(
                pa.array([old], pa.string()), pattern=self.old, replacement=self.new
            )
        except pa.ArrowInvalid as error:
            raise _refused(f"its pattern cannot be read: {error}") from None
        return str(made[0].as_py())

    def words(self, hidden: Callable[[str], bool] = lambda _path: False) -> str:
        """The correction in one line, for people and for the audit; no text of a `hidden` path."""
        if self.kind == "edit":
            return "; ".join(
                f"{path}: → {'(hidden)' if hidden(path) else repr(text)}"
                for path, text in self.values.items()
            )
        if self.kind != "trim" and hidden(self.path):
            return f"{self.path}: {self.kind} (hidden)"
        if self.kind == "map":
            pairs = ", ".join(f"{old!r} → {new!r}" for old, new in self.values.items())
            return f"{self.path}: {pairs}"
        if self.kind == "trim":
            return f"{self.path}: blanks around it removed"
        if self.kind == "default":
            return f"{self.path}: blank → {self.new!r}"
        sign = "pattern " if self.kind == "regex" else ""
        return f"{self.path}: {sign}{self.old!r} → {self.new!r}"


def _refused(why: str) -> Misconfigured:
    return Misconfigured(
        f"this correction cannot be made: {why}",
        code="correction",
        remedy="Nothing was changed. Correct it and look at the preview again.",
    )
