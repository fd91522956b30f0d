"""Benchmarks: what the real thing costs on this machine, beside what the machine can do."""
