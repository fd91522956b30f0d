"""Whether the steps of one field fit each other, their paths and the field. Must not read files."""

from __future__ import annotations

from mappings.steps import ANY, STEPS, Kind


def chain_faults(
    names: tuple[str, ...], columns: int, *, accepted: tuple[Kind, ...]
) -> list[tuple[int, str]]:
    """What is wrong with a chain of known steps over `columns` paths: (index of the step, why).

    Index -1 speaks about the field itself. Unknown names must have been reported before.
    """
    faults: list[tuple[int, str]] = []
    kind: Kind = "text"
    for index, name in enumerate(names):
        spec = STEPS[name]
        if spec.takes == 1:
            pass
        elif spec.takes not in (ANY, columns):
            faults.append((index, f"{name} takes {spec.takes} paths, `from` names {columns}"))
            columns = 1
        else:
            columns = 1
        if spec.needs not in _readable(kind):
            faults.append(
                (index, f"{name} needs a {spec.needs}, what comes before it gives {kind}")
            )
        kind = spec.gives
    if columns != 1:
        faults.append((-1, f"`from` names {columns} paths: one step must make one column of them"))
    elif kind not in accepted:
        faults.append((-1, f"the last step gives {kind}, this field takes {' or '.join(accepted)}"))
    return faults


def _readable(kind: Kind) -> tuple[Kind, ...]:
    """Kinds that a column of `kind` may be used as: canonical text can be read strictly as any."""
    if kind == "text":
        return ("text", "number", "date", "instant", "bool")
    if kind == "number":
        return ("number", "text")
    return (kind,)
