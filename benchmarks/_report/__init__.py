"""The parts of `benchmarks/report.py`: rows, running, the machine, what bounds a row, and tables."""
