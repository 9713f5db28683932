"""The graph neural networks and their checkpoint."""
