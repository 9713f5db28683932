"""Where ROOT is known: sources, reading, copying, writing."""
