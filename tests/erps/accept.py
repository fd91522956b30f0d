"""Writes what a mapping makes of its sample: `python -m tests.erps.accept ERP [FEED]`.

For samples that `waybill new-erp` wrote, or that were changed by hand; then review the files.
"""

from __future__ import annotations

import sys

from mappings.settings import REPOSITORY
from tests.erps.samples import (
    EXPECTED,
    EXPECTED_HEADER,
    REJECTED,
    REJECTED_HEADER,
    folder_of,
    mapped_feeds,
    run,
    write_rows,
)


def main(arguments: list[str]) -> int:
    """Accept one ERP's samples, or one feed's; 2 where there is none."""
    if not arguments:
        return 2
    done = 0
    for mapping, feed in mapped_feeds():
        folder = folder_of(mapping, feed)
        if [mapping.erp, feed][: len(arguments)] != arguments or not folder.is_dir():
            continue
        sample = run(mapping, feed, folder)
        write_rows(folder / EXPECTED, EXPECTED_HEADER, sample.accepted)
        write_rows(folder / REJECTED, REJECTED_HEADER, sample.rejected)
        counts = len(sample.accepted), len(sample.rejected)
        where = folder.relative_to(REPOSITORY)
        sys.stdout.write(f"{where}: {counts[0]} values, {counts[1]} faults\n")
        done += 1
    return 0 if done else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
