"""The proof that an output holds just what its provenance says."""
