"""Pythia 8, the parametric detector, samples with truth."""
