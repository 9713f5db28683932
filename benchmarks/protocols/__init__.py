"""The protocols of benchmarks/physics.py."""
