"""Benchmarks of the real pipeline beside the limit of the machine and beside other tools."""
