"""Decisions: thresholds, budgets, the event hash."""
