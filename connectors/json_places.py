"""Places in a decoded JSON value by path (`params/args/0`): read one, put one. Nothing else."""

from __future__ import annotations

from typing import Any


def at(value: Any, path: str) -> Any:  # noqa: ANN401  any JSON
    """What stands at a path; None where nothing does. `.` is the value itself."""
    for name in _names(path):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def put(value: dict[str, Any], path: str, new: object) -> None:
    """Put something at a path; objects on the way are made. ValueError where a list is too short
    or something else is in the way.
    """
    here: Any = value
    *above, last = _names(path)
    for name in above:
        here = _step(here, name)
    if isinstance(here, dict):
        here[last] = new
    elif isinstance(here, list) and last.isdecimal() and int(last) < len(here):
        here[int(last)] = new
    else:
        raise ValueError(path)


def _step(here: Any, name: str) -> Any:  # noqa: ANN401  any JSON
    if isinstance(here, dict):
        return here.setdefault(name, {})
    if isinstance(here, list) and name.isdecimal() and int(name) < len(here):
        return here[int(name)]
    raise ValueError(name)


def _names(path: str) -> list[str]:
    return [] if path in {"", "."} else path.split("/")
