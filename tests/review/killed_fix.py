"""A worker of fix jobs that is killed by its test: says so when the first piece is done, goes on.

Argument: items a piece. Settings come from the environment.
"""

import sys
import time

from mappings.settings import Settings
from sync.context import Context
from sync.fix_work import carry_on

asked = 0


def stop() -> bool:
    """Asked before every piece: before the second one it lets its test strike."""
    global asked  # noqa: PLW0603 - a script
    asked += 1
    if asked == 3:
        sys.stdout.write("one piece is done\n")
        sys.stdout.flush()
        time.sleep(60)
    return False


with Context.open(Settings.read()) as ctx:
    carry_on(ctx, worker="killed", piece=int(sys.argv[1]), lease=1.0, stop=stop)
