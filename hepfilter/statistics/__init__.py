"""Intervals and weighted efficiencies: arrays in, containers out."""
