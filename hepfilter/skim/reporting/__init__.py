"""What is told of a run, collected from its outputs."""
