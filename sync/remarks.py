"""What was odd in a batch and read all the same: kept with the checks of its run.

Of each kind the first is told and all are counted. Must not decide anything.
"""

from __future__ import annotations

from quality.expectations import CheckResult

JUDGE = "batch"
_SAYS_CHARS = 500


class Remarks:
    """The remarks of one run, by part and kind."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[str, int, bool]] = {}

    def add(self, part: str, code: str, says: str) -> None:
        """Something odd."""
        first, count, _ = self._found.get((part, f"read:{code}"), (says, 0, False))
        self._found[part, f"read:{code}"] = first[:_SAYS_CHARS], count + 1, False

    def fact(self, part: str, name: str, says: str) -> None:
        """Something that later runs look up; nothing is wrong with it."""
        self._found[part, name] = says, 0, True

    def results(self) -> list[tuple[str, str, CheckResult]]:
        """(part, judge, result) as a run's record keeps them."""
        return [
            (part, JUDGE, CheckResult(name, says, fine, max(count, 1), count, "batch"))
            for (part, name), (says, count, fine) in self._found.items()
        ]
