"""hepfilter: the offline trigger for collider data."""

__version__ = "0.1.0"
