"""When: Airflow DAGs, made by one factory per kind of flow. Must not do any work itself."""
