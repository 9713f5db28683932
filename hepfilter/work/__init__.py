"""Units of work; knows no physics."""
