"""What a step is in code: a function over whole columns, registered under its name.

A step is elementwise: what it gives for a row depends on that row's values alone (columns may be
reduced to their distinct values before it). It raises nothing for any text: what it cannot read
is null and marked in `bad`. Declared in `mappings/steps.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

FORBIDDEN_CHARACTER = "forbidden_character"

SAYS: dict[str, str] = {
    "not_a_number": "not a number as the mapping says it is written",
    "ambiguous_number": "a number that can be read two ways; declare the decimal mark",
    "too_many_digits": "more digits than the field holds; nothing is rounded",
    "not_an_integer": "not a whole number",
    "not_a_date": "not a date as the mapping says it is written",
    "not_an_instant": "not an instant as the mapping says it is written",
    "unknown_format": "a date whose format code nobody here knows",
    "no_such_local_time": "a local time that the clock jumped over",
    "not_a_bool": "neither true nor false as the mapping says they are written",
    "unknown_code": "a code that the lookup does not know",
    "scientific_notation": "a code that a spreadsheet turned into a number",
    "not_a_json_object": "not a JSON object",
    FORBIDDEN_CHARACTER: "holds a NUL character, which no text may",
}
"""Code of a value problem → what an operator reads."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step may know besides its columns."""

    time_zone: str = "UTC"
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepResult:
    """`values` has the length of the input. `bad`: rows that could not be read (null in values)."""

    values: pa.Array
    bad: pa.BooleanArray | None = None
    code: str = ""


StepFunction = Callable[[list[pa.Array], StepContext], StepResult | list[StepResult]]
"""Several results where rows are bad for several reasons; the last one holds the values."""

FUNCTIONS: dict[str, StepFunction] = {}
"""Step name → function; filled by the modules that `transforms/values.py` imports."""


_Step = TypeVar("_Step", bound=StepFunction)


def step(function: _Step) -> _Step:
    """Registers a function under its own name."""
    name = function.__name__
    if name in FUNCTIONS:
        raise ValueError(f"step {name} is registered twice")
    FUNCTIONS[name] = function
    return function
