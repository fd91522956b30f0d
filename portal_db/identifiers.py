"""Text that may stand in a statement: names and numbers of ours, never a value from an ERP.

psycopg takes only literal text as a statement, and the type checker follows literals through
f-strings. What is known only at run time (an ERP's id, a run's tables) becomes such text here,
after a look at it. Must not quote or escape: what would need it is refused.
"""

from __future__ import annotations

import re
from typing import LiteralString, cast

_PLAIN = re.compile(r"[a-z][a-z0-9_]*")


def plain_name(text: str) -> LiteralString:
    """The text itself, known to be a lower-case name; ValueError for anything else."""
    if _PLAIN.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a plain name of lower-case letters, digits and _")
    return cast("LiteralString", text)


def digits(value: int) -> LiteralString:
    """The digits of a whole number."""
    return cast("LiteralString", f"{value:d}")
