"""The driver of the side-by-side benchmarks. Python's standard library only; start at `main.py`."""
