"""From event records to batches of particle graphs."""
