"""Pictures of result containers."""
