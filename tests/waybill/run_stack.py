"""A process that runs a Stack as `waybill up` does, for the tests to look at and to kill.

Arguments: `airflow` or `plain`, then the service's command. Prints JSON lines: every change of
state, and `{"ready": …}` when all is well. Settings come from the environment.
"""

import json
import sys
import time

from mappings.errors import WaybillError
from mappings.settings import Settings, child_environment
from waybill.stack import Stack
from waybill.supervisor import Service


def say(**words: object) -> None:
    sys.stdout.write(json.dumps({"at": round(time.monotonic(), 2), **words}) + "\n")
    sys.stdout.flush()


def main() -> int:
    settings = Settings.read()
    services = []
    if len(sys.argv) > 2:
        services = [
            Service("probe", tuple(sys.argv[2:]), child_environment(settings), stop_seconds=1)
        ]
    try:
        with Stack(
            settings,
            services,
            airflow=sys.argv[1] == "airflow",
            progress=lambda name, state: say(name=name, state=state),
        ) as stack:
            stack.wait_until_healthy()
            say(ready=stack.addresses, pids=stack.pids(), database=stack.database_url)
            stack.run_forever()
    except WaybillError as error:
        say(error=error.code, says=str(error))
        return 3
    except KeyboardInterrupt:  # asked to stop before it was ready
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
