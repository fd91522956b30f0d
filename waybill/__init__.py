"""The `waybill` command, and the supervisor of everything that it starts."""
