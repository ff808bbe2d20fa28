"""What every transaction of the product costs on a chain of its own: the parts of benchmarks/run_gas.py."""
