"""The parts of `benchmarks/reliability.py`: each a module with `run(quick, seed, progress) -> Part`."""
