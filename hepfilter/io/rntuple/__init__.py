"""RNTuples: their format, their pages, chosen entries of all columns."""
