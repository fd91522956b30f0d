"""The engine: pull, load, reconcile, replay. Must know no Airflow and no web."""
