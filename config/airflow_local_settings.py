"""Imported by every Airflow process at its start, from `<AIRFLOW_HOME>/config`.

The scheduler loads the heavy libraries before it forks its workers, so that a task that uses them
starts in a tenth of a second instead of five. Must not: define anything, or load them in the DAG
processor or the API server, which have no use for them.
"""

import contextlib
import importlib
import sys

_HEAVY = (
    "pandas",
    "pyarrow.compute",
    "pyarrow.csv",
    "psycopg",
    "sqlalchemy",
    "zeep",
    "lxml.etree",
    "httpx",
    "paramiko",
    "great_expectations",
)

if "scheduler" in sys.argv[1:2]:
    for _name in _HEAVY:
        # A task that needs a missing one fails by itself, with a better message.
        with contextlib.suppress(ImportError):
            importlib.import_module(_name)
