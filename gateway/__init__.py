"""Now: the real-time lane. Orders leave at once, ERPs are asked while somebody waits, and call us.

One small process. Must not know Airflow, a wire library, or how it is started.
"""
