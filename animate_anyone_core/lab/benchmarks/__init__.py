"""What `benchmark` can measure: one module each, as listed in `commands/benchmark.py`."""
