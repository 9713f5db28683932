"""From events to scores."""
