"""Personal values hidden from who may not see them: other letters of the same shape.

What is personal is said by a column's name, in many languages. An operator sees what came, since
he puts it right; an auditor does not need to. Must not decide who is who.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request

from mappings.private_files import DESK_KEY
from review.web.desk import desk_of
from review.web.gate import user_of
from sync.masking import masked, masked_page, personal


class Mask:
    """What one reader sees of texts. For an operator it changes nothing."""

    def __init__(self, request: Request) -> None:
        self.on = not user_of(request).operates
        self._key = desk_of(request).settings.secret(DESK_KEY).encode()

    def text(self, path: str, value: str | None) -> str | None:
        """One value of a column."""
        if not self.on or value is None or not personal(path):
            return value
        return masked(value, self._key)

    def record(self, texts: Mapping[str, str | None]) -> dict[str, str | None]:
        """A whole record, path by path."""
        return {path: self.text(path, value) for path, value in texts.items()}

    def free(self, text: str, secrets: Iterable[str | None]) -> str:
        """A text in which personal values stand somewhere."""
        values = [one for one in secrets if one]
        if not self.on or not values:
            return text
        return masked_page(text.encode(), values, self._key).decode()

    def payload(self, value: Any, path: str = "") -> Any:  # noqa: ANN401 - any JSON
        """Any JSON, its personal leaves masked."""
        if not self.on:
            return value
        if isinstance(value, Mapping):
            return {name: self.payload(one, str(name)) for name, one in value.items()}
        if isinstance(value, list):
            return [self.payload(one, path) for one in value]
        return self.text(path, value) if isinstance(value, str) else value


def personal_values(texts: Mapping[str, str | None]) -> list[str]:
    """The personal values of a record."""
    return [value for path, value in texts.items() if value and personal(path)]
