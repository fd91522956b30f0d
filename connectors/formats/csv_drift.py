"""Whether a header is still the one that the mapping expects, and what that means.

Must not decide what is needed: a column that is mapped and missing is refused elsewhere.
"""

from __future__ import annotations

from mappings.errors import SourceChanged
from mappings.sources.formats import CsvFormat


def drift(form: CsvFormat, names: list[str]) -> list[tuple[str, str]]:
    """(code, what changed) to be noted. Raises SourceChanged (`drift`) under `drift: refuse`.

    Nothing where the mapping says no `columns` to hold the header against.
    """
    expected = list(form.columns)
    if not expected or form.drift == "ignore" or names == expected:
        return []
    found: list[tuple[str, str]] = []
    extra = [name for name in names if name not in expected]
    lost = [name for name in expected if name not in names]
    if extra:
        found.append(("extra_column", f"new in the header: {', '.join(extra)}"))
    if lost:
        found.append(("lost_column", f"not in the header any more: {', '.join(lost)}"))
    if not found:
        found.append(("reordered_columns", "the header names the same columns in another order"))
    if form.drift == "refuse":
        raise SourceChanged(
            f"the header is not the one expected: {'; '.join(says for _, says in found)}",
            code="drift",
            remedy="Ask the ERP's owner, then correct `columns` in the mapping.",
        )
    return found
