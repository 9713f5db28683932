"""How good a score is: efficiencies at fixed background."""
